#if Dashboard
internal import Qudo

/// The query of the page of jobs.
struct JobsQuery: Sendable {
  var database: String?
  var kind: String?
  var state: JobState?
  var keyPrefix: String?
  var contains: String?
  /// An entry of the metadata: the name up to the first equals sign, and the text.
  var metadata: String?
  var after: Int64 = 0

  init() {}

  init(_ fields: Fields) {
    (database, kind, keyPrefix, contains, metadata) = (
      fields["database"], fields["kind"], fields["key"], fields["contains"], fields["metadata"]
    )
    state = fields["state"].flatMap(JobState.init(rawValue:))
    after = max(0, fields.number("after") ?? 0)
  }

  /// - Throws: `QudoError.Code.invalidArgument` if the entry of the metadata is invalid.
  func filter() throws(QudoError) -> JobFilter {
    JobFilter(
      kinds: kind.map { [Kind($0)] }, states: state.map { [$0] }, uniqueKeyPrefix: keyPrefix,
      payloadContains: contains.map { Array($0.utf8) }, metadata: try entry())
  }

  private func entry() throws(QudoError) -> [String: String]? {
    guard let metadata else { return nil }
    guard let sign = metadata.utf8.firstIndex(of: UInt8(ascii: "=")), sign != metadata.startIndex else {
      throw QudoError(.invalidArgument, "\(metadata) is no entry of metadata: write it as name=text")
    }
    return [String(metadata[..<sign]): String(metadata[metadata.utf8.index(after: sign)...])]
  }

  /// The filter for an entry; nil for one that the filter cannot say.
  static func metadata(_ name: String, _ text: String) -> String? {
    let isShort = name.utf8.count + text.utf8.count <= JobFilter.mostMetadataBytes
    return isShort && !name.isEmpty && !name.utf8.contains(UInt8(ascii: "=")) ? "\(name)=\(text)" : nil
  }

  var isEmpty: Bool {
    kind == nil && state == nil && keyPrefix == nil && contains == nil && metadata == nil && database == nil
  }
}

extension Shell {
  /// - Parameters:
  ///   - kinds: Kinds to choose from. Others can be written.
  func jobsPage(_ query: JobsQuery, _ answers: [DatabaseAnswer<Found<JobRow>>], kinds: [String]) -> HTML {
    var form = FilterForm(self, "jobs", isFiltered: !query.isEmpty)
    form.addKind(query.kind, kinds)
    form.addChoice(
      "state", "State", JobState.allCases.map { ($0.rawValue, $0.rawValue) }, query.state?.rawValue,
      none: "Any")
    form.addText("key", "Unique key begins with", query.keyPrefix)
    form.addText("contains", "Payload contains", query.contains)
    form.addText("metadata", "Metadata has", query.metadata, example: "name=text")
    form.addDatabase(query.database)
    return page(
      "Jobs", .jobs,
      """
      \(head("Jobs", "<p>Unfinished jobs, in the order of their ids. Those that ended are in the failures, or gone.</p>"))\(form.html)\
      \(answers.map { jobList(query, $0) })
      """)
  }

  private func jobList(_ query: JobsQuery, _ answer: DatabaseAnswer<Found<JobRow>>) -> HTML {
    // The next page is that of one database.
    let here = link(
      "jobs",
      [
        "database": isSeveral ? answer.database : nil, "kind": query.kind, "state": query.state?.rawValue,
        "key": query.keyPrefix, "contains": query.contains, "metadata": query.metadata,
      ])
    let columns: HTML = """
      <th scope="col" class="num">Id</th><th scope="col">Kind</th><th scope="col">State</th><th scope="col">Due</th>\
      <th scope="col" class="num">Attempt</th><th scope="col" class="num">Priority</th><th scope="col">Unique key</th><th scope="col">Payload</th>
      """
    return list(
      answer, ("job", "jobs"), link: here, isFirst: query.after == 0,
      cutOff: { id -> HTML in
        "Searched the ids up to \(Figures.count(id)), which is as far as one request looks."
      },
      advice: { found -> HTML in
        found.isCutOff
          ? "None among the ids that were searched. Search on below, or name the kind."
          : query.isEmpty && query.after == 0
            ? "Nothing waits and nothing runs. Enqueue a job with <code>qudo enqueue KIND PAYLOAD</code>."
            : "Change the filter. Jobs that ended are not in this list: see the <a href=\"\(link("failures"))\">failures</a>."
      }, columns: columns, row: { jobRow($0, answer.database) })
  }

  private func jobRow(_ row: JobRow, _ database: String) -> HTML {
    let job = row.job
    let key: HTML = job.uniqueKey.map { "<span class=\"clip\" title=\"\($0)\">\($0)</span>" } ?? .none
    let text = Excerpt.line(job.payload, isCut: row.isCut)
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
