#if Dashboard
internal import Qudo
internal import QudoMonitor

extension Shell {
  /// The running jobs that are listed at most, of one process.
  private static let mostJobs = 50

  /// - Parameter parts: See ``workersParts(_:)``.
  func workersPage(_ parts: HTML) -> HTML {
    page(
      "Workers", .workers, live: .workers,
      "\(head("Workers", "<p>Processes that hold jobs, and what they run.</p>", aside: Self.live))\(parts)"
    )
  }

  /// The parts that live updates replace.
  func workersParts(_ view: LiveView) -> HTML {
    "<div id=\"live-workers\">\(view.sample.databases.map(workersSection))</div>"
  }

  private func workersSection(_ database: DatabaseSample) -> HTML {
    guard let state = database.state else {
      return database.error.map { failureNote(database.name, $0) } ?? .empty
    }
    let title: HTML = isSeveral ? "<h2 class=\"crumb\">\(database.name)</h2>" : .empty
    guard !state.workers.isEmpty else {
      let advice: HTML =
        switch state.hasWorker {
        case true?: "A worker looks for jobs, and runs none now."
        case false?:
          "No process looks for jobs. Start a worker with <code>qudo work KIND='COMMAND {}'</code>."
        case nil: "The database does not tell whether a worker looks for jobs."
        }
      return "\(title)<section class=\"card\">\(empty("No job is running", advice))</section>"
    }
    let more: HTML =
      state.unlistedRunning > 0
      ? "<p class=\"quiet\">\(Figures.count(state.unlistedRunning)) more running jobs are not listed.</p>"
      : .empty
    return "\(title)\(state.workers.map { worker($0, database.name) })\(more)"
  }

  private func worker(_ worker: WorkerSample, _ database: String) -> HTML {
    let name = worker.processID.map { "Process \($0)" } ?? "Unknown process"
    let host: HTML? = worker.host.map { " on \($0)" }
    var kinds: [Kind: Int] = [:]
    for job in worker.jobs { kinds[job.kind, default: 0] += 1 }
    let said = kinds.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(5).map { kind, count -> HTML in
      "\(Figures.count(count)) \(kind.name)"
    }
    let columns: HTML = """
      <th scope="col" class="num">Job</th><th scope="col">Kind</th><th scope="col" class="num">Attempt</th><th scope="col">Claimed</th><th scope="col" class="num">Waited</th>
      """
    let rows = worker.jobs.prefix(Self.mostJobs).map { job -> HTML in
      let waited: HTML =
        job.startedAt.map {
          "\(Figures.duration(.microseconds(max(0, $0.microseconds.clampedMinus(job.dueAt.microseconds)))))"
        } ?? .none
      return """
        <tr><th scope="row" class="num"><a href="\(self.job(database, job.id))">\(job.id)</a></th><td class="name">\(kind(job.kind))</td>\
        <td class="num\(job.attempt == 1 ? " gone" : "")" data-label="Attempt">\(job.attempt)</td><td data-label="Claimed">\(HTML.time(job.startedAt, now))</td>\
        <td class="num" data-label="Waited">\(waited)</td></tr>
        """
    }
    let more: HTML =
      worker.jobs.count > rows.count
      ? "<p class=\"pager\">The \(rows.count) that were claimed first, of \(Figures.count(worker.jobs.count)).</p>"
      : .empty
    return """
      <section class="card"><div class="card-head"><h2>\(name)\(host)</h2><p class="aside">\(Figures.count(worker.jobs.count)) \(worker.jobs.count == 1 ? "job" : "jobs"): \(said.joined(", "))</p></div>\
      \(table("Jobs of \(name)", columns, Array(rows), class: "fold dense even"))\(more)</section>
      """
  }
}
#endif
