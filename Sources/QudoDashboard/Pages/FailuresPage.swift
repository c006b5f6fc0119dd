#if Dashboard
internal import Qudo

/// The query of the page of failures.
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
    var form = FilterForm(self, "failures", isFiltered: !query.isEmpty)
    form.addKind(query.kind, kinds)
    form.addChoice(
      "which", "Which", FailuresQuery.Which.allCases.map { ($0.rawValue, $0.name) }, query.which.rawValue)
    form.addChoice(
      "reason", "Reason", FailureReason.allCases.map { ($0.rawValue, $0.rawValue) }, query.reason?.rawValue,
      none: "Any")
    form.addText("contains", "Message contains", query.contains)
    form.addDatabase(query.database)
    return page(
      "Failures", .failures,
      "\(head("Failures", "<p>Failed runs, newest first: those that were retried, and those that ended their jobs.</p>"))\(form.html)\(answers.map { failureList(query, $0) })"
    )
  }

  private func failureList(_ query: FailuresQuery, _ answer: DatabaseAnswer<Found<FailureRecord>>) -> HTML {
    let here = link(
      "failures",
      [
        "database": isSeveral ? answer.database : nil, "kind": query.kind, "which": query.which.rawValue,
        "reason": query.reason?.rawValue, "contains": query.contains,
      ])
    let columns: HTML = """
      <th scope="col" class="num">Id</th><th scope="col">Failed</th><th scope="col">Kind</th><th scope="col">Reason</th>\
      <th scope="col" class="num">Job</th><th scope="col" class="num">Attempt</th><th scope="col">Message</th><th scope="col">Then</th>\
      \(if: allowsChanges, "<th scope=\"col\"><span class=\"hidden\">Change</span></th>")
      """
    return list(
      answer, ("failure", "failures"), link: here, isFirst: query.after == nil,
      cutOff: { id -> HTML in
        "Searched the log down to row \(Figures.count(id)), which is as far as one request looks."
      },
      advice: { found -> HTML in
        found.isCutOff
          ? "None among the rows that were searched. Search on below."
          : query.isEmpty && query.after == nil
            ? "No run has failed, or the log was pruned." : "Change the filter, or clear it."
      }, columns: columns, row: { failureRow($0, answer.database) })
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
