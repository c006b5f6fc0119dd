internal import Qudo
internal import QudoMonitor

/// The tab of the kinds: the databases, the kinds, the workers and the newest failures.
extension Screen {
  // MARK: Databases

  var databases: [StyledLine] {
    guard let sample = state.sample else {
      return [StyledLine(), StyledLine("  reading the databases", .dim)]
    }
    // As many as leave room for the kinds.
    let most = options.isInteractive ? max(1, min(5, size.rows / 5)) : sample.databases.count
    let shown =
      sample.databases.count <= most ? sample.databases[...] : sample.databases.prefix(max(1, most - 1))
    let table = databaseTable
    var lines = [indented(table.heading)]
    for database in shown {
      switch database.result {
      case .success: lines.append(indented(table.line(database)))
      case .failure(let error):
        var line = StyledLine("  ")
        line.add(CellText.safe(database.name, limit: 40), .bold)
        line.add("  ")
        line.add(CellText.safe("\(error)"), .bad)
        lines.append(line)
      }
    }
    let others = sample.databases.dropFirst(shown.count)
    if !others.isEmpty {
      let down = others.count { $0.error != nil }
      lines.append(
        StyledLine(
          "  and \(others.count) other databases" + (down > 0 ? ", \(down) of them unreachable" : ""),
          down > 0 ? .bad : .dim))
    }
    return lines
  }

  private var databaseTable: ScreenTable<DatabaseSample> {
    typealias Column = ScreenTable<DatabaseSample>.Column
    func column(
      _ title: String, _ width: Int, _ rank: Int,
      _ text: @escaping (DatabaseSample.DatabaseState) -> (String, Style)
    ) -> Column {
      Column(title: title, width: width, rank: rank) { row, _ in row.state.map(text) ?? ("", .plain) }
    }
    return ScreenTable(
      [
        Column(title: "DATABASE", width: 8, alignment: .left, rank: 0, takesRest: true) { row, _ in
          (CellText.safe(row.name, limit: 200), .bold)
        },
        Column(title: "TREND", width: max(20, min(80, size.columns - 100)), rank: 10) { row, width in
          (
            FigureText.sparkline(
              state.history.series(row.name, last: width) { Double($0.ready + $0.delayed + $0.running) },
              width,
              ascii: options.ascii), .accent
          )
        },
        column("IN/S", 6, 3) { (estimate($0.isExact, $0.enqueuedPerSecond), .plain) },
        column("OUT/S", 6, 4) { (estimate($0.isExact, $0.endedPerSecond), .plain) },
        column("READY", 6, 1) { (FigureText.count($0.ready), .plain) },
        column("DELAYED", 7, 7) { (FigureText.count($0.delayed), .plain) },
        column("RUNNING", 7, 2) { (FigureText.count($0.running), .plain) },
        column("FAIL/MIN", 8, 5) {
          (
            FigureText.count($0.failuresInMinute) + ($0.hasMoreFailures ? "+" : ""),
            $0.failuresInMinute > 0 ? .bad : .plain
          )
        },
        column("OLDEST", 6, 6) { (FigureText.duration($0.oldestReady), .plain) },
        column("FILE", 6, 9) { (FigureText.bytes($0.fileBytes), .plain) },
        column("WAL", 6, 8) { (FigureText.bytes($0.walBytes), .plain) },
      ], width: size.columns - 3, mark: mark)
  }

  func estimate(_ isExact: Bool, _ rate: Double?) -> String {
    (isExact || rate == nil ? "" : "~") + FigureText.rate(rate)
  }

  // MARK: Kinds

  func overview(_ rows: Int) -> [StyledLine] {
    guard let sample = state.sample else { return [] }
    guard sample.databases.contains(where: { $0.error == nil }) else { return [noKinds] }
    let kinds = state.kindRows
    let (workers, failures) = (workerLines, state.failureRows)
    var (workerRows, failureRows) = (0, 0)
    let isSpacious = rows >= 12
    if !options.isInteractive {
      (workerRows, failureRows) = (max(1, workers.count), max(1, min(10, failures.count)))
    } else if isSpacious {
      // Two headings and two empty lines, and the heading of the kinds.
      let room = rows - 5 - min(max(kinds.count, 1), max(3, rows - 9))
      workerRows = max(1, min(max(workers.count, 1), room / 2))
      failureRows = max(1, min(max(failures.count, 1), room - workerRows))
      workerRows = max(1, min(max(workers.count, 1), room - failureRows))
    }
    let others = workerRows + failureRows > 0 ? workerRows + failureRows + 4 : 0
    var lines = list(kindTable, kinds, options.isInteractive ? rows - others : .max, empty: noKinds)
    guard others > 0 else { return lines }
    lines.append(StyledLine())
    lines.append(workerTitle)
    lines += workers.isEmpty ? [noWorkers] : Array(workers.prefix(workerRows))
    lines.append(StyledLine())
    lines.append(StyledLine(" FAILURES", .heading))
    if failures.isEmpty {
      lines.append(noFailures)
    } else {
      let table = failureTable(withState: false)
      lines += failures.prefix(failureRows).map { indented(table.line($0)) }
    }
    return lines
  }

  private var kindTable: ScreenTable<TopState.KindRow> {
    typealias Column = ScreenTable<TopState.KindRow>.Column
    let isWide = size.columns >= 104
    func column(
      _ title: String, _ width: Int, _ rank: Int, _ text: @escaping (KindSample) -> (String, Style)
    ) -> Column {
      Column(title: title, width: width, rank: rank) { row, _ in text(row.sample) }
    }
    func age(_ kind: KindSample) -> Style {
      guard let oldest = kind.oldestReady, !kind.isPaused else { return .plain }
      return oldest >= .seconds(600) ? .warning : .plain
    }
    let longest =
      state.kindRows.lazy.map { TextWidth.of(CellText.safe($0.sample.kind.name, limit: 256)) }.max() ?? 0
    var columns = [
      // Long names get room at the cost of the least important columns.
      Column(
        title: "KIND", width: max(10, min(longest, size.columns / 4)), alignment: .left, rank: 0,
        takesRest: true
      ) { row, width in
        let name = CellText.safe(row.sample.kind.name, limit: 256)
        return (TextWidth.middle(name, width, mark: mark), row.sample.isPaused ? .warning : .bold)
      },
      column("READY", 6, 1) { (FigureText.count($0.ready), .plain) },
      column(isWide ? "DELAYED" : "DELAY", isWide ? 7 : 6, 6) { (FigureText.count($0.delayed), .plain) },
      column(isWide ? "RUNNING" : "RUN", isWide ? 7 : 6, 2) {
        (FigureText.count($0.running), $0.running > 0 ? .good : .plain)
      },
      column("+/-S", 6, 4) {
        $0.isPaused ? ("paused", .warning) : (FigureText.change($0.changePerSecond), .plain)
      },
      column("DONE/S", 6, 10) { (FigureText.rate($0.completedPerSecond), .plain) },
      Column(title: "TREND", width: isWide ? max(16, min(60, size.columns - 104)) : 8, rank: 5) {
        row, width in
        let series = state.history.series(row.sample.kind, in: row.database, last: width) {
          Double($0.unfinished)
        }
        return (FigureText.sparkline(series, width, ascii: options.ascii), .accent)
      },
      column("RUN50", 6, 8) { (FigureText.duration($0.runTime?.p50), .plain) },
      column("RUN99", 6, 11) { (FigureText.duration($0.runTime?.p99), .plain) },
      column("WAIT50", 6, 9) { (FigureText.duration($0.waitTime?.p50), .plain) },
      column("WAIT99", 6, 12) { (FigureText.duration($0.waitTime?.p99), .plain) },
      column("OLDEST", 6, 3) { (FigureText.duration($0.oldestReady), age($0)) },
      column("FAIL", 5, 7) {
        (FigureText.count($0.failuresInMinute), $0.failuresInMinute > 0 ? .bad : .plain)
      },
    ]
    if state.isSeveral {
      columns.insert(
        Column(title: "DATABASE", width: 8, alignment: .left, rank: 4) { row, _ in
          (CellText.safe(row.database, limit: 40), .dim)
        }, at: 0)
    }
    if state.kindRows.contains(where: { $0.sample.held != nil }) {
      columns.insert(
        column("HELD", 6, 6) { ($0.held.map { FigureText.count($0) } ?? "-", .plain) },
        at: columns.count - 9)
    }
    let sorted =
      switch state.sort {
      case .name: ["KIND"]
      case .ready: ["READY"]
      case .running: ["RUN", "RUNNING"]
      case .failures: ["FAIL"]
      case .oldest: ["OLDEST"]
      case .change: ["+/-S"]
      }
    for index in columns.indices where sorted.contains(columns[index].title) {
      columns[index].isMarked = true
    }
    return ScreenTable(columns, width: size.columns - 3, mark: mark)
  }

  private var noKinds: StyledLine {
    if !(state.draft ?? state.filter).isEmpty {
      return StyledLine("  no kind's name contains that", .dim)
    }
    if state.sample?.databases.allSatisfy({ $0.error != nil }) == true {
      return StyledLine("  no database can be read; trying again", .bad)
    }
    return StyledLine("  no jobs: qudo enqueue adds some", .dim)
  }

  // MARK: Workers

  private var workerTitle: StyledLine {
    var line = StyledLine(" WORKERS", .heading)
    let workers = (state.sample?.databases ?? []).compactMap(\.state).flatMap(\.workers)
    let unlisted = (state.sample?.databases ?? []).compactMap(\.state).reduce(0) { $0 + $1.unlistedRunning }
    let known = Set(workers.compactMap(\.processID)).count
    if known > 0 { line.add("  \(known) \(known == 1 ? "process" : "processes")", .dim) }
    if unlisted > 0 { line.add("  \(FigureText.count(unlisted)) other jobs run", .dim) }
    return line
  }

  private struct WorkerRow {
    let database: String
    let worker: WorkerSample
    let now: Timestamp
  }

  private var workerLines: [StyledLine] {
    let rows = (state.sample?.databases ?? []).flatMap { database in
      (database.state?.workers ?? []).map {
        WorkerRow(database: database.name, worker: $0, now: database.state?.now ?? .latest)
      }
    }
    typealias Column = ScreenTable<WorkerRow>.Column
    var columns = [
      Column(title: "PROCESS", width: 11, alignment: .left, rank: 0) { row, _ in
        let host = row.worker.host.map { "@" + CellText.safe($0, limit: 40) } ?? ""
        return (row.worker.processID.map { "pid \($0)\(host)" } ?? "unknown", .bold)
      },
      Column(title: "JOBS", width: 11, rank: 1) { row, _ in
        let count = row.worker.jobs.count
        return ("\(FigureText.count(count)) \(count == 1 ? "job" : "jobs")", .good)
      },
      Column(title: "OLDEST", width: 10, rank: 3) { row, _ in
        (
          row.worker.jobs.first?.startedAt.map { "for " + FigureText.duration($0.until(row.now)) } ?? "",
          .plain
        )
      },
      Column(title: "KINDS", width: 10, alignment: .left, rank: 2, takesRest: true) { row, _ in
        let counts = Dictionary(grouping: row.worker.jobs, by: \.kind).mapValues(\.count)
        let kinds = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return (
          kinds.prefix(20).map { kind, count in
            CellText.safe(kind.name, limit: 60) + (count > 1 ? " x\(count)" : "")
          }.joined(separator: ", "), .plain
        )
      },
    ]
    if state.isSeveral {
      columns.insert(
        Column(title: "DATABASE", width: 8, alignment: .left, rank: 4) { row, _ in
          (CellText.safe(row.database, limit: 40), .dim)
        }, at: 0)
    }
    let table = ScreenTable(columns, width: size.columns - 3, mark: mark)
    return rows.map { indented(table.line($0)) }
  }

  private var noWorkers: StyledLine {
    let states = (state.sample?.databases ?? []).compactMap(\.state)
    if states.contains(where: { $0.hasWorker == false }), !states.contains(where: { $0.hasWorker == true }) {
      let isNeeded = states.contains { $0.ready > 0 }
      return StyledLine("  no worker: qudo work starts one", isNeeded ? .warning : .dim)
    }
    return StyledLine("  no job runs", .dim)
  }
}
