#if Dashboard
internal import Qudo

/// What the page of jobs was asked for.
struct JobsQuery: Sendable {
  var database: String?
  var kind: String?
  var state: JobState?
  var keyPrefix: String?
  var contains: String?
  var after: Int64 = 0

  init() {}

  init(_ fields: Fields) {
    (database, kind, keyPrefix, contains) = (
      fields["database"], fields["kind"], fields["key"], fields["contains"]
    )
    state = fields["state"].flatMap(JobState.init(rawValue:))
    after = max(0, fields.number("after") ?? 0)
  }

  var filter: JobFilter {
    JobFilter(
      kinds: kind.map { [Kind($0)] }, states: state.map { [$0] }, uniqueKeyPrefix: keyPrefix,
      payloadContains: contains.map { Array($0.utf8) })
  }

  var isEmpty: Bool { kind == nil && state == nil && keyPrefix == nil && contains == nil && database == nil }
}

extension Shell {
  /// - Parameters:
  ///   - kinds: Kinds to choose from. Others can be written.
  func jobsPage(_ query: JobsQuery, _ answers: [DatabaseAnswer<Found<JobRow>>], kinds: [String]) -> HTML {
    let states = JobState.allCases.map { state -> HTML in
      "<option value=\"\(state.rawValue)\"\(if: state == query.state, " selected")>\(state.rawValue)</option>"
    }
    let options = kinds.map { kind -> HTML in "<option value=\"\(kind)\"></option>" }
    let clear: HTML = query.isEmpty ? .empty : "<a class=\"button\" href=\"\(link("jobs"))\">Clear</a>"
    let form: HTML = """
      <form class="card filters" action="\(link("jobs"))" method="get" aria-label="Filter jobs">
      <div class="field wide"><label for="kind">Kind</label><input type="text" id="kind" name="kind" value="\(query.kind)" list="kinds" autocomplete="off">\
      <datalist id="kinds">\(options)</datalist></div>
      <div class="field"><label for="state">State</label><select id="state" name="state"><option value="">Any</option>\(states)</select></div>
      <div class="field wide"><label for="key">Unique key begins with</label><input type="text" id="key" name="key" value="\(query.keyPrefix)" autocomplete="off"></div>
      <div class="field wide"><label for="contains">Payload contains</label><input type="text" id="contains" name="contains" value="\(query.contains)" autocomplete="off"></div>
      \(databaseField(query.database))<div class="buttons"><button type="submit" class="primary">Filter</button>\(clear)</div></form>
      """
    return page(
      "Jobs", .jobs,
      """
      \(head("Jobs", "<p>Unfinished jobs, in the order of their ids. Those that ended are in the failures, or gone.</p>"))\(form)\
      \(answers.map { jobsSection(query, $0) })
      """)
  }

  private func jobsSection(_ query: JobsQuery, _ answer: DatabaseAnswer<Found<JobRow>>) -> HTML {
    let found: Found<JobRow>
    switch answer.result {
    case .success(let value): found = value
    case .failure(let error): return failureNote(answer.database, error)
    }
    let title: HTML = isSeveral ? "<div class=\"card-head\"><h2>\(answer.database)</h2></div>" : .empty
    // The next page is that of one database.
    let here = link(
      "jobs",
      [
        "database": isSeveral ? answer.database : nil, "kind": query.kind, "state": query.state?.rawValue,
        "key": query.keyPrefix,
        "contains": query.contains,
      ])
    let pager = pager(
      found, "job", of: answer.database, link: here, isFirst: query.after == 0,
      cutOff:
        "Searched the ids up to \(Figures.count(found.next ?? 0)), which is as far as one request looks.")
    guard !found.rows.isEmpty else {
      let advice: HTML =
        found.isCutOff
        ? "None among the ids that were searched. Search on below, or name the kind."
        : query.isEmpty && query.after == 0
          ? "Nothing waits and nothing runs. Enqueue a job with <code>qudo enqueue KIND PAYLOAD</code>."
          : "Change the filter. Jobs that ended are not in this list: see the <a href=\"\(link("failures"))\">failures</a>."
      return "<section class=\"card\">\(title)\(empty("No jobs here", advice))\(pager)</section>"
    }
    let columns: HTML = """
      <th scope="col" class="num">Id</th><th scope="col">Kind</th><th scope="col">State</th><th scope="col">Due</th>\
      <th scope="col" class="num">Attempt</th><th scope="col" class="num">Priority</th><th scope="col">Unique key</th><th scope="col">Payload</th>
      """
    let rows = found.rows.map { jobRow($0, answer.database) }
    let name = isSeveral ? "Jobs of \(answer.database)" : "Jobs"
    return
      "<section class=\"card\">\(title)\(table(name, columns, rows, class: "fold"))\(pager)</section>"
  }

  private func jobRow(_ row: JobRow, _ database: String) -> HTML {
    let job = row.job
    let key: HTML = job.uniqueKey.map { "<span class=\"clip\" title=\"\($0)\">\($0)</span>" } ?? .none
    let text = Excerpt.line(job.payload, size: row.size)
    let payload: HTML = text.isEmpty ? .none : "<code class=\"lines\">\(text)</code>"
    return """
      <tr><th scope="row" class="num"><a href="\(self.job(database, job.id))">\(job.id)</a></th>\
      <td class="name">\(kind(job.kind))</td><td>\(badge(job.state))</td><td>\(HTML.time(job.dueAt, now))</td>\
      <td class="num\(job.attempt == 1 ? " gone" : "")" data-label="Attempt">\(figure(job.attempt))</td><td class="num\(job.priority == 0 ? " gone" : "")" data-label="Priority">\(figure(job.priority))</td>\
      <td class="text full\(job.uniqueKey == nil ? " gone" : "")">\(key)</td><td class="text full">\(payload)</td></tr>
      """
  }
}
#endif
