internal import Qudo
internal import QudoMonitor

/// The tab of the running jobs, the jobs of one kind, and one job.
extension Screen {
  // MARK: Jobs

  var jobTable: ScreenTable<TopState.JobRow> {
    typealias Column = ScreenTable<TopState.JobRow>.Column
    return ScreenTable(
      [
        Column(title: "JOB", width: state.isSeveral ? 16 : 10, rank: 0) { row, _ in
          (jobName(row.database, row.job.id), .bold)
        },
        Column(title: "KIND", width: 12, alignment: .left, rank: 1, takesRest: true) { row, _ in
          (CellText.safe(row.job.kind.name, limit: 256), .plain)
        },
        Column(title: "TRY", width: 3, rank: 5) { row, _ in ("\(row.job.attempt)", .plain) },
        Column(title: "RUNS FOR", width: 8, rank: 2) { row, _ in
          (FigureText.duration(row.job.startedAt.map { $0.until(now(row.database)) }), .good)
        },
        Column(title: "WAITED", width: 6, rank: 4) { row, _ in
          (FigureText.duration(row.job.startedAt.map { row.job.dueAt.until($0) }), .plain)
        },
        Column(title: "PROCESS", width: 8, rank: 3) { row, _ in
          (row.job.processID.map { "\($0)" } ?? "-", .plain)
        },
      ], width: size.columns - 3, mark: mark)
  }

  var noJobs: StyledLine { StyledLine("  no job runs", .dim) }

  // MARK: The jobs of a kind

  func kindHead(_ id: RowID<Kind>) -> [StyledLine] {
    var head = StyledLine(" ")
    head.add(CellText.safe(id.value.name, limit: 256), .heading)
    if state.isSeveral { head.add("  in \(CellText.safe(id.database, limit: 80))", .dim) }
    guard let kind = state.openKind?.sample else { return [head] }
    func figures(_ pairs: [(String, String)]) -> StyledLine {
      var line = StyledLine("  ")
      for (name, value) in pairs {
        line.add(TextWidth.fit(name, 8) + " ", .dim)
        line.add(TextWidth.fit(value, 9))
      }
      return line
    }
    var lines = [
      head,
      figures([
        ("ready", FigureText.count(kind.ready)), ("delayed", FigureText.count(kind.delayed)),
        ("running", FigureText.count(kind.running)), ("oldest", FigureText.duration(kind.oldestReady)),
      ]),
      figures([
        ("change/s", FigureText.change(kind.changePerSecond)),
        ("done/s", FigureText.rate(kind.completedPerSecond)),
        ("fail/s", FigureText.rate(kind.failuresPerSecond)),
        ("fail/min", FigureText.count(kind.failuresInMinute)),
      ]),
      figures([
        ("run p50", FigureText.duration(kind.runTime?.p50)),
        ("run p99", FigureText.duration(kind.runTime?.p99)),
        ("wait p50", FigureText.duration(kind.waitTime?.p50)),
        ("wait p99", FigureText.duration(kind.waitTime?.p99)),
      ]),
    ]
    var trend = StyledLine("  unfinished ", .dim)
    let width = max(0, min(60, size.columns - 14))
    trend.add(
      FigureText.sparkline(
        state.history.series(id.value, in: id.database, last: width) { Double($0.unfinished) }, width,
        ascii: options.ascii), .accent)
    lines.append(trend)
    if let pause = kind.pause {
      let end = pause.endsAt.map { "until \(options.clock($0))" } ?? "until it is resumed"
      let reason = pause.reason.map { ": " + CellText.safe($0) } ?? ""
      lines.append(StyledLine("  paused since \(options.clock(pause.pausedAt)), \(end)\(reason)", .warning))
    } else if kind.isPaused {
      lines.append(StyledLine("  everything is paused", .warning))
    }
    return lines
  }

  func kindJobTable(_ database: String) -> ScreenTable<StoredJob> {
    typealias Column = ScreenTable<StoredJob>.Column
    let now = now(database)
    func time(_ job: StoredJob) -> String {
      switch job.state {
      case .ready: FigureText.duration(job.dueAt.until(now))
      case .delayed: "in " + FigureText.duration(now.until(job.dueAt))
      case .running: FigureText.duration(job.startedAt.map { $0.until(now) })
      case .held: "-"
      }
    }
    return ScreenTable(
      [
        Column(title: "JOB", width: 10, rank: 0) { job, _ in ("\(job.id)", .bold) },
        Column(title: "STATE", width: 7, alignment: .left, rank: 1) { job, _ in
          (job.state.rawValue, job.state == .running ? .good : .plain)
        },
        Column(title: "FOR", width: 9, rank: 2) { job, _ in (time(job), .plain) },
        Column(title: "PRIO", width: 4, rank: 6) { job, _ in ("\(job.priority)", .plain) },
        Column(title: "TRY", width: 3, rank: 5) { job, _ in ("\(job.attempt)", .plain) },
        Column(title: "UNIQUE KEY", width: 14, alignment: .left, rank: 7) { job, _ in
          (CellText.safe(job.uniqueKey ?? "", limit: 60), .plain)
        },
        Column(title: "PAYLOAD", width: 10, alignment: .left, rank: 3, takesRest: true) { job, _ in
          (CellText.safe(job.payload), .dim)
        },
      ], width: size.columns - 3, mark: mark)
  }

  // MARK: One job

  /// The entries of the metadata that the screen shows at most.
  private static let mostEntries = 50

  func jobText(_ id: RowID<Int64>) -> [StyledLine] {
    let head = StyledLine(" Job " + jobName(id.database, id.value), .heading)
    let now = now(id.database)
    guard case .job(let outcome, let failures)? = state.content else { return waiting(head) }
    var lines = [head]
    switch outcome {
    case .unfinished(let job):
      lines += field("kind", CellText.safe(job.kind.name, limit: 256), .bold)
      lines += field("state", job.state.rawValue, job.state == .running ? .good : .plain)
      lines += field(
        "attempt", "\(job.attempt)" + (job.expiredLeases > 0 ? ", \(job.expiredLeases) expired leases" : ""))
      lines += field("priority", "\(job.priority)")
      if let key = job.uniqueKey { lines += field("unique key", CellText.safe(key)) }
      if let process = job.processID { lines += field("process", "\(process)") }
      lines += time("enqueued", job.enqueuedAt, now)
      lines += time("due", job.dueAt, now)
      lines += time("started", job.startedAt, now)
      lines += time("lease ends", job.leaseExpiresAt, now)
      lines += time("expires", job.expiresAt, now)
      for (index, name) in job.metadata.names.prefix(Self.mostEntries).enumerated() {
        let entry = CellText.safe(name, limit: 100) + "=" + CellText.safe(job.metadata[name] ?? "")
        lines += field(index == 0 ? "metadata" : "", entry)
      }
      lines += payload(job.payload)
    case .completed(let run):
      lines += field("kind", CellText.safe(run.kind.name, limit: 256), .bold)
      lines += field("state", run.status.rawValue, .good)
      lines += time("ended", run.endedAt, now)
      lines += field("took", FigureText.duration(run.startedAt.until(run.endedAt)))
      lines += payload(run.payload)
    case .failed(let failure):
      lines += field("kind", CellText.safe(failure.kind.name, limit: 256), .bold)
      lines += field("state", failure.reason.rawValue, .bad)
      lines += payload(failure.payload)
    case .unrecorded: lines += field("state", "ended; no log says how", .dim)
    case .neverExisted: lines += field("state", "there is no such job", .dim)
    }
    guard !failures.isEmpty else { return lines }
    lines.append(StyledLine())
    lines.append(StyledLine(" Failed runs", .heading))
    let table = failureTable(withState: true)
    return lines
      + failures.map { indented(table.line(TopState.FailureRow(database: id.database, failure: $0))) }
  }
}
