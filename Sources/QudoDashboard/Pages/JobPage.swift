#if Dashboard
internal import Qudo

/// A job with all that is known of it.
struct JobDetail: Sendable {
  var database: String
  var number: Int64
  var outcome: JobOutcome
  /// Its newest rows of both logs.
  var failures: [FailureRecord] = []
  var statuses: [StatusRecord] = []
}

extension Shell {
  func jobPage(_ detail: JobDetail) -> HTML {
    let number = detail.number
    let crumb: HTML = "<a href=\"\(link("jobs"))\">Jobs</a>\(if: isSeveral, " of \(detail.database)")"
    let content: HTML
    switch detail.outcome {
    case .unfinished(let job): content = unfinished(job, detail.database)
    case .completed(let row):
      content =
        card("Completed", "<span class=\"badge green\">\(row.status.rawValue)</span>", facts(row))
        + payload(row.payload)
    case .failed(let row):
      let buttons = replayButtons(row, detail.database)
      content =
        card(
          "Failed for good", badge(row.reason), facts(row, detail.database) + message(row.message), buttons)
        + payload(row.payload)
    case .unrecorded where detail.failures.isEmpty:
      content = ended(
        "The job has ended",
        "No log says how: it completed and its kind does not record that, or its rows were pruned. Workers record it with <code>qudo work --record</code>, or <code>recordsStatus</code> in Swift."
      )
    case .unrecorded:
      content = ended(
        "The job has ended",
        "It was retried after the runs below, and no log says how it ended: most likely it completed.")
    case .neverExisted:
      content = ended(
        "No such job", "The database never gave this id to a job. Check the number, and the database.")
    }
    return page("Job \(number)", .jobs, "\(head("Job \(number)", crumb: crumb))\(content)\(history(detail))")
  }

  private func ended(_ title: String, _ advice: HTML) -> HTML {
    "<section class=\"card\">\(empty(title, advice))</section>"
  }

  private func card(_ title: String, _ badge: HTML, _ body: HTML, _ buttons: HTML = .empty) -> HTML {
    """
    <section class="card"><div class="card-head"><h2>\(title) \(badge)</h2>\(if: !buttons.isEmpty, "<div class=\"buttons\">\(buttons)</div>")</div>\(body)</section>
    """
  }

  private func unfinished(_ job: StoredJob, _ database: String) -> HTML {
    var buttons = HTML.empty
    if job.state == .delayed { buttons += button(ChangeOrder(.runNow, database: database, id: job.id)) }
    if job.state == .running { buttons += button(ChangeOrder(.recover, database: database, id: job.id)) }
    buttons += button(ChangeOrder(.cancel, database: database, id: job.id))
    let facts: HTML = """
      <dl class="facts">\(fact("Kind", kind(job.kind)))\(fact("Priority", "\(job.priority)"))\(fact("Attempt", "\(job.attempt)"))\
      \(fact("Enqueued", HTML.time(job.enqueuedAt, now)))\(fact("Due", HTML.time(job.dueAt, now)))\
      \(fact("Expires", job.expiresAt.map { HTML.time($0, now) }))\(fact("Unique key", job.uniqueKey.map { "<code>\($0)</code>" }))\
      \(fact("Group", job.group.map { "<code>\($0)</code>" }))\
      \(fact("Concurrency key", job.concurrencyKey.map { "<code>\($0)</code>" }))\
      \(fact("Claimed", job.startedAt.map { HTML.time($0, now) }))\(fact("Process", job.processID.map { "\($0)" }))\
      \(fact("Lease ends", job.leaseExpiresAt.map { HTML.time($0, now) }))\
      \(fact("Expired leases", job.expiredLeases > 0 ? "<span class=\"bad\">\(job.expiredLeases)</span>" : nil))\
      \(fact("Database", isSeveral ? "\(database)" : nil))</dl>
      """
    let held: HTML =
      job.state == .held
      ? "<p class=\"card-body quiet\">It can begin when earlier jobs with its concurrency key have ended.</p>"
      : .empty
    return card("Unfinished", badge(job.state), facts + held, buttons) + payload(job.payload)
      + metadata(job.metadata)
  }

  private func facts(_ row: StatusRecord) -> HTML {
    let took = row.endedAt.microseconds.clampedMinus(row.startedAt.microseconds)
    return """
      <dl class="facts">\(fact("Kind", kind(row.kind)))\(fact("Started", HTML.time(row.startedAt, now)))\
      \(fact("Ended", HTML.time(row.endedAt, now)))\(fact("Took", "\(Figures.duration(.microseconds(took)))"))\
      \(fact("Unique key", row.uniqueKey.map { "<code>\($0)</code>" }))</dl>
      """
  }

  // MARK: Failures

  func facts(_ row: FailureRecord, _ database: String) -> HTML {
    let replayed: HTML? = row.replayedAs.map { job in
      job == 0 ? "yes" : "as <a href=\"\(self.job(database, job))\">job \(job)</a>"
    }
    return """
      <dl class="facts">\(fact("Kind", kind(row.kind)))\(fact("Attempt", "\(row.attempt)"))\(fact("Priority", "\(row.priority)"))\
      \(fact("Failed", HTML.time(row.failedAt, now)))\(fact("Failure", "<a href=\"\(failure(database, row.id))\">\(row.id)</a>"))\
      \(fact("Job", "<a href=\"\(job(database, row.job))\">\(row.job)</a>"))\
      \(fact("Unique key", row.uniqueKey.map { "<code>\($0)</code>" }))\(fact("Replayed", replayed))\
      \(fact("Resolved", row.isResolved ? "yes" : nil))\(fact("Retried", row.isFinal ? nil : "yes"))\
      \(fact("Database", isSeveral ? "\(database)" : nil))</dl>
      """
  }

  func message(_ text: String) -> HTML { "<pre class=\"wrap\">\(text.isEmpty ? "(no message)" : text)</pre>" }

  func replayButtons(_ row: FailureRecord, _ database: String) -> HTML {
    guard row.isFinal, row.replayedAs == nil else { return .empty }
    let replay = button(ChangeOrder(.replay, database: database, id: row.id))
    return row.isResolved ? replay : replay + button(ChangeOrder(.resolve, database: database, id: row.id))
  }

  func failurePage(_ row: FailureRecord?, _ database: String, _ id: Int64) -> HTML {
    let crumb: HTML = "<a href=\"\(link("failures"))\">Failures</a>\(if: isSeveral, " of \(database)")"
    guard let row else {
      return page(
        "Failure \(id)", .failures,
        "\(head("Failure \(id)", crumb: crumb))\(ended("No such failure", "The log has no row with this id: it may have been pruned."))"
      )
    }
    let kindOfEnd = row.isFinal ? "The job failed for good" : "The job was retried"
    return page(
      "Failure \(id)", .failures,
      """
      \(head("Failure \(id)", crumb: crumb))\(card(kindOfEnd, badge(row.reason), facts(row, database) + message(row.message), replayButtons(row, database)))\
      \(payload(row.payload))
      """)
  }

  // MARK: Parts

  func payload(_ payload: Payload?) -> HTML {
    guard let payload else {
      return
        "<section class=\"card\">\(empty("Payload unknown", "The log has it with the first failed run of the job, whose row was pruned."))</section>"
    }
    let excerpt = Excerpt(payload)
    let form: HTML =
      switch excerpt.form {
      case .json: "JSON"
      case .text: "text"
      case .hexadecimal: payload.codec == .raw ? "bytes" : "codec \(payload.codec.description), as bytes"
      }
    let size: HTML = excerpt.size == 0 ? "empty" : "\(Figures.bytes(excerpt.size)), \(form)"
    let cut: HTML =
      excerpt.isCutOff
      ? "<p class=\"card-body sub\">The first \(Figures.bytes(excerpt.shown)) of \(Figures.bytes(excerpt.size)) are shown. <code>qudo show ID --payload</code> prints all of it.</p>"
      : .empty
    let text: HTML =
      excerpt.size == 0
      ? .empty
      : "<pre\(if: excerpt.form != .hexadecimal, " class=\"wrap\"") tabindex=\"0\" aria-label=\"Payload\" role=\"region\">\(excerpt.text)</pre>"
    return
      "<section class=\"card\"><div class=\"card-head\"><h2>Payload</h2><p class=\"aside\">\(size)</p></div>\(cut)\(text)</section>"
  }

  /// The entries of the metadata that are shown at most.
  private static let mostEntries = 100

  private func metadata(_ metadata: JobMetadata) -> HTML {
    guard !metadata.isEmpty else { return .empty }
    let names = metadata.names
    let rows = names.prefix(Self.mostEntries).map { name -> HTML in
      let text = metadata[name] ?? ""
      let others: HTML =
        JobsQuery.metadata(name, text).map { entry in
          "<a href=\"\(link("jobs", ["metadata": entry]))\">Jobs with it<span class=\"hidden\">: \(name)</span></a>"
        } ?? .none
      return """
        <tr><th scope="row" class="name">\(String(name.prefix(256)))</th><td class="full"><code>\(String(text.prefix(4096)))</code></td>\
        <td class="nowrap">\(others)</td></tr>
        """
    }
    let more: HTML =
      names.count > rows.count
      ? "<p class=\"pager\">The first \(rows.count) of \(Figures.count(names.count)) entries.</p>" : .empty
    let head: HTML =
      "<th scope=\"col\">Name</th><th scope=\"col\">Text</th><th scope=\"col\"><span class=\"hidden\">Other jobs</span></th>"
    let count = "\(Figures.count(names.count)) \(names.count == 1 ? "entry" : "entries")"
    return
      "<section class=\"card\"><div class=\"card-head\"><h2>Metadata</h2><p class=\"aside\">\(count)</p></div>\(table("Metadata", head, Array(rows), class: "fold"))\(more)</section>"
  }

  /// The runs that the logs have of a job, newest first.
  private func history(_ detail: JobDetail) -> HTML {
    var events: [(at: Timestamp, html: HTML)] = []
    for row in detail.failures {
      events.append(
        (
          row.failedAt,
          """
          <li class="\(row.reason == .cancelled ? "amber" : "red")"><strong>Attempt \(row.attempt)</strong> \(badge(row.reason)) \
          <span class="quiet">\(HTML.time(row.failedAt, now))</span> <a href="\(failure(detail.database, row.id))">failure \(row.id)</a>\
          <p class="quiet lines">\(String(row.message.prefix(300)))</p></li>
          """
        ))
    }
    for row in detail.statuses where row.status == .completed || row.status == .replaced {
      let took = row.endedAt.microseconds.clampedMinus(row.startedAt.microseconds)
      events.append(
        (
          row.endedAt,
          """
          <li class="green"><strong>Run</strong> <span class="badge green">\(row.status.rawValue)</span> \
          <span class="quiet">\(HTML.time(row.endedAt, now)), after \(Figures.duration(.microseconds(took)))</span></li>
          """
        ))
    }
    if case .unfinished(let job) = detail.outcome {
      events.append(
        (
          job.enqueuedAt,
          "<li class=\"blue\"><strong>Enqueued</strong> <span class=\"quiet\">\(HTML.time(job.enqueuedAt, now))</span></li>"
        ))
    }
    guard !events.isEmpty else { return .empty }
    let list = events.sorted { $0.at > $1.at }.map(\.html)
    return "<section class=\"card\"><h2>History</h2><ol class=\"timeline\" reversed>\(list)</ol></section>"
  }
}
#endif
