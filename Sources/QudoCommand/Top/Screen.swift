internal import Qudo
internal import QudoMonitor

/// Draws the state of `qudo top`: a pure function.
struct Screen {
  struct Options: Sendable {
    /// Whether the terminal shows ASCII only.
    var ascii = false
    /// The time of day, as the screen shows it.
    var clock: @Sendable (Timestamp) -> String
    /// Whether keys do anything: a selection and a line about keys are shown.
    var isInteractive = true
  }

  let state: TopState
  let options: Options
  var size: ScreenSize { state.size }
  private var mark: Character { options.ascii ? "~" : "…" }

  /// Returns the lines of the screen: as many as it has rows, each as wide as it is. Without keys, only as many as are filled.
  static func lines(_ state: TopState, _ options: Options) -> [StyledLine] {
    let screen = Screen(state: state, options: options)
    guard state.size.columns > 0, state.size.rows > 0 else { return [] }
    var lines = screen.all
    if options.isInteractive {
      let footer = screen.footer
      let body = state.size.rows - (state.size.rows > 2 ? 1 : 0)
      lines = Array(lines.prefix(body))
      lines += Array(repeating: StyledLine(), count: max(0, body - lines.count))
      if state.size.rows > 2 { lines.append(footer) }
    }
    lines = lines.map { $0.fitted(state.size.columns, mark: screen.mark) }
    return options.ascii ? lines.map(\.ascii) : lines
  }

  /// How far the text of a detail can be scrolled.
  static func mostScroll(_ state: TopState, _ options: Options) -> Int {
    let screen = Screen(state: state, options: options)
    return max(0, screen.text.count - screen.bodyRows)
  }

  private var all: [StyledLine] {
    if state.showsHelp { return [title] + help }
    guard state.detail == nil else { return [title] + detail }
    var lines = [title]
    // In a very low window, the selected list is what matters.
    if size.rows >= 8 { lines += databases }
    if size.rows >= 8 { lines.append(StyledLine()) }
    let rows = bodyRows - lines.count + 1
    switch state.tab {
    case .kinds: lines += overview(rows)
    case .jobs: lines += list(jobTable, state.jobRows, rows, empty: noJobs)
    case .failures: lines += list(failureTable(withState: true), state.failureRows, rows, empty: noFailures)
    }
    return lines
  }

  /// The rows below the title and above the footer.
  private var bodyRows: Int {
    options.isInteractive ? max(0, size.rows - (size.rows > 2 ? 2 : 1)) : max(0, size.rows - 1)
  }

  // MARK: The title

  private var title: StyledLine {
    var left = StyledLine(" qudo top ", .bold)
    if options.isInteractive {
      for (tab, name) in [(TopState.Tab.kinds, "Kinds"), (.jobs, "Jobs"), (.failures, "Failures")] {
        let isShown = state.tab == tab
        left.add(" ")
        left.add(isShown ? "[\(name)]" : " \(name) ", isShown ? .heading : .dim)
      }
    }
    if !state.filter.isEmpty || state.draft != nil {
      left.add("  /" + CellText.safe(state.draft ?? state.filter, limit: 30), .warning)
    }
    guard let sample = state.sample else { return left }
    let took = sample.took > .zero ? "sample \(FigureText.duration(sample.took)) " : ""
    let right = "\(options.clock(sample.at))  \(took)"
    let room = size.columns - left.width - TextWidth.of(right)
    if room >= 1 {
      left.add(String(repeating: " ", count: room))
      left.add(right, .dim)
    }
    return left
  }

  // MARK: Databases

  private var databases: [StyledLine] {
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

  private func estimate(_ isExact: Bool, _ rate: Double?) -> String {
    (isExact || rate == nil ? "" : "~") + FigureText.rate(rate)
  }

  // MARK: Kinds

  private func overview(_ rows: Int) -> [StyledLine] {
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

  // MARK: Jobs

  private var jobTable: ScreenTable<TopState.JobRow> {
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

  private var noJobs: StyledLine { StyledLine("  no job runs", .dim) }

  private func jobName(_ database: String, _ number: Int64) -> String {
    state.isSeveral ? "\(CellText.safe(database, limit: 40))/\(number)" : "\(number)"
  }

  private func now(_ database: String) -> Timestamp {
    state.sample?.databases.first { $0.name == database }?.state?.now ?? state.sample?.at ?? .latest
  }

  // MARK: Failures

  private func failureTable(withState: Bool) -> ScreenTable<TopState.FailureRow> {
    typealias Column = ScreenTable<TopState.FailureRow>.Column
    var columns = [
      Column(title: "FAILED", width: 8, rank: 1) { row, _ in
        let age = row.failure.failedAt.until(now(row.database))
        return (
          age < .seconds(86_400) ? options.clock(row.failure.failedAt) : FigureText.duration(age) + " ago",
          .dim
        )
      },
      Column(title: "KIND", width: 14, alignment: .left, rank: 2) { row, _ in
        (CellText.safe(row.failure.kind.name, limit: 256), .plain)
      },
      Column(title: "JOB", width: state.isSeveral ? 14 : withState ? 9 : 11, rank: 3) { row, _ in
        ((withState ? "" : "job ") + jobName(row.database, row.failure.job), .plain)
      },
      Column(title: "MESSAGE", width: 12, alignment: .left, rank: 0, takesRest: true) { row, _ in
        (CellText.safe(row.failure.message), row.failure.isFinal ? .bad : .warning)
      },
    ]
    if withState {
      columns.insert(
        Column(title: "TRY", width: 3, rank: 5) { row, _ in ("\(row.failure.attempt)", .plain) }, at: 3)
      columns.insert(
        Column(title: "STATE", width: 9, alignment: .left, rank: 4) { row, _ in
          (row.failure.shortState, .plain)
        }, at: 4)
    }
    return ScreenTable(columns, width: size.columns - 3, mark: mark)
  }

  private var noFailures: StyledLine {
    if let error = state.failuresError { return StyledLine("  " + CellText.safe("\(error)"), .bad) }
    return StyledLine("  no failures", .good)
  }

  // MARK: Lists

  /// Returns a heading and the rows around the selection, in at most `most` lines.
  ///
  /// - Parameters:
  ///   - empty: The line in place of rows.
  ///   - more: What follows the rows; nil for nothing.
  private func list<Row>(
    _ table: ScreenTable<Row>, _ rows: [Row], _ most: Int, empty: StyledLine, more: String? = nil
  ) -> [StyledLine] {
    guard most > 0 else { return [] }
    guard !rows.isEmpty else { return [indented(table.heading), empty] }
    // With one line, the row matters more than the heading.
    let hasHeading = most > 1
    var room = hasHeading ? most - 1 : most
    var shown = rows[...]
    var first = 0
    // The last line says how many others there are.
    let counts = (rows.count > room || more != nil) && room > 2
    if counts { room -= 1 }
    if rows.count > room {
      first = min(state.selection / room * room, rows.count - room)
      shown = rows[first..<first + room]
    }
    var lines = hasHeading ? [indented(table.heading)] : []
    for (index, row) in zip(shown.indices, shown) {
      let line = table.line(row)
      guard options.isInteractive, index == state.selection else {
        lines.append(indented(line))
        continue
      }
      var selected = StyledLine("> ", .selected)
      selected.add(line.fitted(size.columns - 2).restyled(.selected))
      lines.append(selected)
    }
    if counts {
      let place = "\(first + 1) to \(first + shown.count) of \(FigureText.count(rows.count))"
      lines.append(StyledLine("  " + place + (more.map { ", " + $0 } ?? ""), .dim))
    }
    return lines
  }

  private func indented(_ line: StyledLine) -> StyledLine {
    var indented = StyledLine("  ")
    indented.add(line)
    return indented
  }

  // MARK: Details

  private var detail: [StyledLine] {
    guard case .kind(let id) = state.detail else {
      let lines = text
      let first = min(state.scroll, max(0, lines.count - bodyRows))
      return Array(lines[first...])
    }
    var lines = kindHead(id)
    lines.append(StyledLine())
    // In a low window, the figures make room for the jobs.
    if size.rows < 12 { lines = Array(lines.prefix(1)) }
    let empty: StyledLine =
      if let error = state.detailError {
        StyledLine("  " + CellText.safe("\(error)"), .bad)
      } else {
        StyledLine(
          !state.hasReadJobs
            ? "  reading" : state.pages.count > 1 ? "  no other jobs" : "  no unfinished jobs",
          .dim)
      }
    let more: String? =
      switch (state.pages.count > 1, state.hasMoreJobs) {
      case (false, false): nil
      case (false, true): "-> for the next page"
      case (true, false): "<- for the page before"
      case (true, true): "<- and -> for other pages"
      }
    return lines
      + list(
        kindJobTable(id.database), state.kindJobs, bodyRows - lines.count, empty: empty, more: more)
  }

  private func kindHead(_ id: RowID<Kind>) -> [StyledLine] {
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

  private func kindJobTable(_ database: String) -> ScreenTable<StoredJob> {
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

  /// The text of a job or a failure, which can be scrolled.
  private var text: [StyledLine] {
    switch state.detail {
    case .job(let id): return jobText(id)
    case .failure(let id): return failureText(id)
    default: return []
    }
  }

  private func field(_ name: String, _ value: String, _ style: Style = .plain) -> [StyledLine] {
    let width = max(8, size.columns - 16)
    return TextWidth.wrap(value, width).enumerated().map { index, part in
      var line = StyledLine("  " + TextWidth.fit(index == 0 ? name : "", 12) + " ", .dim)
      line.add(part, style)
      return line
    }
  }

  private func time(_ name: String, _ time: Timestamp?, _ now: Timestamp) -> [StyledLine] {
    guard let time else { return [] }
    let (past, ahead) = (time.until(now), now.until(time))
    let relative = ahead > .zero ? "in \(FigureText.duration(ahead))" : "\(FigureText.duration(past)) ago"
    return field(name, "\(time.utc)  \(relative)")
  }

  /// The most of a payload that the screen shows, in characters.
  private static let mostPayload = 4000

  private func payload(_ payload: Payload?) -> [StyledLine] {
    guard let payload else { return field("payload", "not kept", .dim) }
    if payload.bytes.isEmpty { return field("payload", "empty", .dim) }
    return field("payload", CellText.safe(payload, limit: Self.mostPayload), .accent)
      + (payload.bytes.count > Self.mostPayload
        ? field("", "\(FigureText.bytes(Int64(payload.bytes.count))) in all: see qudo show --payload", .dim)
        : [])
  }

  private func waiting(_ head: StyledLine) -> [StyledLine] {
    if let error = state.detailError { return [head, StyledLine("  " + CellText.safe("\(error)"), .bad)] }
    return [head, StyledLine("  reading", .dim)]
  }

  private func jobText(_ id: RowID<Int64>) -> [StyledLine] {
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

  private func failureText(_ id: RowID<Int64>) -> [StyledLine] {
    let head = StyledLine(" Failure " + jobName(id.database, id.value), .heading)
    let now = now(id.database)
    guard case .failure(let found)? = state.content else { return waiting(head) }
    guard let failure = found else { return [head] + field("state", "it is no longer in the log", .dim) }
    var lines = [head]
    lines += field("kind", CellText.safe(failure.kind.name, limit: 256), .bold)
    lines += field("job", "\(failure.job), attempt \(failure.attempt)")
    lines += field("state", failure.longState, failure.isFinal ? .bad : .warning)
    lines += time("failed", failure.failedAt, now)
    if let key = failure.uniqueKey { lines += field("unique key", CellText.safe(key)) }
    lines += field("message", CellText.safe(failure.message, limit: 4000))
    return lines + payload(failure.payload)
  }

  // MARK: Help and footer

  private var help: [StyledLine] {
    let keys: [(String, String)] = [
      ("Up Down j k", "select"), ("PgUp PgDn g G", "move by a page, to the ends"),
      ("Tab", "kinds, running jobs, failures"), ("Enter", "open the selected row"),
      ("Esc", "go back; end the filter"), ("Left Right", "pages of a kind's jobs"),
      ("/", "filter by the kind's name"),
      ("s", "sort the kinds by the next column"),
      ("p", "pause or resume the kind"), ("c", "cancel the job"), ("r", "replay the failure"),
      ("q", "quit"),
    ]
    var lines = [StyledLine()]
    for (key, what) in keys {
      var line = StyledLine("  " + TextWidth.fit(key, 14) + " ", .bold)
      line.add(what)
      lines.append(line)
    }
    lines.append(StyledLine())
    let notes = [
      "IN/S and OUT/S are the jobs enqueued and ended; ~ marks an estimate.",
      "+/-S is the change of a kind's unfinished jobs, DONE/S its completed runs.",
      "RUN and WAIT are medians and 99th percentiles; FAIL counts the last minute.",
    ]
    return lines + notes.map { StyledLine("  " + $0, .dim) }
  }

  private var footer: StyledLine {
    if let draft = state.draft {
      var line = StyledLine(" Filter: ", .bold)
      line.add(CellText.safe(draft) + "_")
      line.add("   Enter keeps it, Esc ends it", .dim)
      return line
    }
    if let change = state.confirmation { return StyledLine(" " + question(change) + " y/n", .warning) }
    if let message = state.message { return StyledLine(" " + message.text, message.isError ? .bad : .good) }
    let keys: [(String, String)] =
      switch (state.detail, state.tab) {
      case (.kind?, _):
        [
          ("Enter", "open"), ("<-/->", "pages"), ("c", "cancel"), ("p", "pause"), ("Esc", "back"),
          ("q", "quit"),
        ]
      case (.job?, _): [("c", "cancel"), ("Esc", "back"), ("q", "quit")]
      case (.failure?, _): [("r", "replay"), ("Esc", "back"), ("q", "quit")]
      case (nil, .kinds):
        [
          ("Enter", "open"), ("Tab", "jobs"), ("/", "filter"), ("p", "pause"), ("s", "sort"), ("?", "help"),
          ("q", "quit"),
        ]
      case (nil, .jobs):
        [
          ("Enter", "open"), ("Tab", "failures"), ("/", "filter"), ("c", "cancel"), ("?", "help"),
          ("q", "quit"),
        ]
      case (nil, .failures):
        [("Enter", "open"), ("Tab", "kinds"), ("/", "filter"), ("r", "replay"), ("?", "help"), ("q", "quit")]
      }
    var line = StyledLine(" ")
    for (key, what) in keys {
      line.add(key, .bold)
      line.add(" \(what)   ", .dim)
    }
    return line
  }

  private func question(_ change: TopState.Change) -> String {
    switch change {
    case .pause(let id): "Pause \(named(id))? Its running jobs go on."
    case .resume(let id): "Resume \(named(id))?"
    case .cancel(let id): "Cancel job \(jobName(id.database, id.value))?"
    case .replay(let id): "Replay failure \(jobName(id.database, id.value))?"
    }
  }

  private func named(_ id: RowID<Kind>) -> String {
    CellText.safe(id.value.name, limit: 60)
      + (state.isSeveral ? " in \(CellText.safe(id.database, limit: 40))" : "")
  }
}

extension Timestamp {
  /// Returns the time until another one; zero if that is earlier.
  func until(_ other: Timestamp) -> Duration {
    .microseconds(max(0, other.microseconds.clampedMinus(microseconds)))
  }
}

extension FailureRecord {
  /// What became of the run, in nine columns.
  var shortState: String {
    if isResolved { return "resolved" }
    if replayedAs != nil { return "replayed" }
    return isFinal ? reason.rawValue : "retried"
  }

  /// What became of the run.
  var longState: String {
    if isResolved { return "\(reason.rawValue), resolved" }
    if let replayedAs { return replayedAs == 0 ? "replayed" : "replayed as job \(replayedAs)" }
    return isFinal ? "\(reason.rawValue) for good" : "\(reason.rawValue), and retried"
  }
}
