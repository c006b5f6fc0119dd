#if Dashboard
internal import Qudo

/// What the page of failures was asked for.
struct FailuresQuery: Sendable {
  enum Which: String, CaseIterable, Sendable {
    case all = "", open, final, replayed, resolved

    var name: String {
      switch self {
      case .all: "All failed runs"
      case .open: "Open: final, not replayed, not resolved"
      case .final: "Final"
      case .replayed: "Replayed"
      case .resolved: "Resolved"
      }
    }
  }

  var database: String?
  var kind: String?
  var reason: FailureReason?
  var which = Which.all
  var contains: String?
  var after: Int64?

  init() {}

  init(_ fields: Fields) {
    (database, kind, contains) = (fields["database"], fields["kind"], fields["contains"])
    reason = fields["reason"].flatMap(FailureReason.init(rawValue:))
    which = fields["which"].flatMap(Which.init(rawValue:)) ?? .all
    after = fields.number("after")
  }

  /// Nil for all failures.
  var filter: FailureFilter? {
    guard reason != nil || which != .all || contains != nil else { return nil }
    var filter = FailureFilter(reasons: reason.map { [$0] }, messageContains: contains)
    switch which {
    case .all: break
    case .open: (filter.isFinal, filter.isReplayed, filter.isResolved) = (true, false, false)
    case .final: filter.isFinal = true
    case .replayed: filter.isReplayed = true
    case .resolved: filter.isResolved = true
    }
    return filter
  }

  var isEmpty: Bool { filter == nil && kind == nil && database == nil }
}

extension Shell {
  func failuresPage(
    _ query: FailuresQuery, _ answers: [DatabaseAnswer<Found<FailureRecord>>], kinds: [String]
  ) -> HTML {
    let reasons = FailureReason.allCases.map { reason -> HTML in
      "<option value=\"\(reason.rawValue)\"\(if: reason == query.reason, " selected")>\(reason.rawValue)</option>"
    }
    let choices = FailuresQuery.Which.allCases.map { which -> HTML in
      "<option value=\"\(which.rawValue)\"\(if: which == query.which, " selected")>\(which.name)</option>"
    }
    let options = kinds.map { kind -> HTML in "<option value=\"\(kind)\"></option>" }
    let clear: HTML = query.isEmpty ? .empty : "<a class=\"button\" href=\"\(link("failures"))\">Clear</a>"
    let form: HTML = """
      <form class="card filters" action="\(link("failures"))" method="get" aria-label="Filter failures">
      <div class="field wide"><label for="kind">Kind</label><input type="text" id="kind" name="kind" value="\(query.kind)" list="kinds" autocomplete="off">\
      <datalist id="kinds">\(options)</datalist></div>
      <div class="field"><label for="which">Which</label><select id="which" name="which">\(choices)</select></div>
      <div class="field"><label for="reason">Reason</label><select id="reason" name="reason"><option value="">Any</option>\(reasons)</select></div>
      <div class="field wide"><label for="contains">Message contains</label><input type="text" id="contains" name="contains" value="\(query.contains)" autocomplete="off"></div>
      \(databaseField(query.database))<div class="buttons"><button type="submit" class="primary">Filter</button>\(clear)</div></form>
      """
    return page(
      "Failures", .failures,
      "\(head("Failures", "<p>Failed runs, newest first: those that were retried, and those that ended their jobs.</p>"))\(form)\(answers.map { failuresSection(query, $0) })"
    )
  }

  private func failuresSection(_ query: FailuresQuery, _ answer: DatabaseAnswer<Found<FailureRecord>>) -> HTML
  {
    let found: Found<FailureRecord>
    switch answer.result {
    case .success(let value): found = value
    case .failure(let error): return failureNote(answer.database, error)
    }
    let title: HTML = isSeveral ? "<div class=\"card-head\"><h2>\(answer.database)</h2></div>" : .empty
    let here = link(
      "failures",
      [
        "database": isSeveral ? answer.database : nil, "kind": query.kind, "which": query.which.rawValue,
        "reason": query.reason?.rawValue,
        "contains": query.contains,
      ])
    let pager = pager(
      found, "failure", of: answer.database, link: here, isFirst: query.after == nil,
      cutOff:
        "Searched the log down to row \(Figures.count(found.next ?? 0)), which is as far as one request looks."
    )
    guard !found.rows.isEmpty else {
      let advice: HTML =
        found.isCutOff
        ? "None among the rows that were searched. Search on below."
        : query.isEmpty && query.after == nil
          ? "No run has failed, or the log was pruned." : "Change the filter, or clear it."
      return "<section class=\"card\">\(title)\(empty("No failures here", advice))\(pager)</section>"
    }
    let columns: HTML = """
      <th scope="col" class="num">Id</th><th scope="col">Failed</th><th scope="col">Kind</th><th scope="col">Reason</th>\
      <th scope="col" class="num">Job</th><th scope="col" class="num">Attempt</th><th scope="col">Message</th><th scope="col">Then</th>\
      \(if: allowsChanges, "<th scope=\"col\"><span class=\"hidden\">Change</span></th>")
      """
    let rows = found.rows.map { failureRow($0, answer.database) }
    let name = isSeveral ? "Failures of \(answer.database)" : "Failures"
    return
      "<section class=\"card\">\(title)\(table(name, columns, rows, class: "fold"))\(pager)</section>"
  }

  private func failureRow(_ row: FailureRecord, _ database: String) -> HTML {
    let then: HTML =
      if !row.isFinal {
        "<span class=\"quiet\">retried</span>"
      } else if let job = row.replayedAs {
        job == 0 ? "replayed" : "replayed as <a href=\"\(self.job(database, job))\">\(job)</a>"
      } else if row.isResolved {
        "<span class=\"quiet\">resolved</span>"
      } else {
        "<span class=\"bad\">open</span>"
      }
    let replay =
      row.isFinal && row.replayedAs == nil
      ? button(ChangeOrder(.replay, database: database, id: row.id)) : .empty
    return """
      <tr><th scope="row" class="num"><a href="\(failure(database, row.id))">\(row.id)</a></th><td>\(HTML.time(row.failedAt, now))</td>\
      <td class="name">\(kind(row.kind))</td><td>\(badge(row.reason))</td>\
      <td class="num" data-label="Job"><a href="\(job(database, row.job))">\(row.job)</a></td>\
      <td class="num" data-label="Attempt">\(row.attempt)</td>\
      <td class="text full"><span class="lines" title="\(String(row.message.prefix(500)))">\(String(row.message.prefix(200)))</span></td>\
      <td class="nowrap" data-label="Then">\(then)</td>\(if: allowsChanges, "<td class=\"num\">\(replay)</td>")</tr>
      """
  }
}
#endif
