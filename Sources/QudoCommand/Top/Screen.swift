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
  var mark: Character { options.ascii ? "~" : "…" }

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

  // MARK: Lists

  /// Returns a heading and the rows around the selection, in at most `most` lines.
  ///
  /// - Parameters:
  ///   - empty: The line in place of rows.
  ///   - more: What follows the rows; nil for nothing.
  func list<Row>(
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

  func indented(_ line: StyledLine) -> StyledLine {
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

  /// The text of a job or a failure, which can be scrolled.
  private var text: [StyledLine] {
    switch state.detail {
    case .job(let id): return jobText(id)
    case .failure(let id): return failureText(id)
    default: return []
    }
  }

  func field(_ name: String, _ value: String, _ style: Style = .plain) -> [StyledLine] {
    let width = max(8, size.columns - 16)
    return TextWidth.wrap(value, width).enumerated().map { index, part in
      var line = StyledLine("  " + TextWidth.fit(index == 0 ? name : "", 12) + " ", .dim)
      line.add(part, style)
      return line
    }
  }

  func time(_ name: String, _ time: Timestamp?, _ now: Timestamp) -> [StyledLine] {
    guard let time else { return [] }
    let (past, ahead) = (time.until(now), now.until(time))
    let relative = ahead > .zero ? "in \(FigureText.duration(ahead))" : "\(FigureText.duration(past)) ago"
    return field(name, "\(time.utc)  \(relative)")
  }

  /// The most of a payload that the screen shows, in characters.
  private static let mostPayload = 4000

  func payload(_ payload: Payload?) -> [StyledLine] {
    guard let payload else { return field("payload", "not kept", .dim) }
    if payload.bytes.isEmpty { return field("payload", "empty", .dim) }
    return field("payload", CellText.safe(payload, limit: Self.mostPayload), .accent)
      + (payload.bytes.count > Self.mostPayload
        ? field("", "\(FigureText.bytes(Int64(payload.bytes.count))) in all: see qudo show --payload", .dim)
        : [])
  }

  func waiting(_ head: StyledLine) -> [StyledLine] {
    if let error = state.detailError { return [head, StyledLine("  " + CellText.safe("\(error)"), .bad)] }
    return [head, StyledLine("  reading", .dim)]
  }

  // MARK: Names and times

  func jobName(_ database: String, _ number: Int64) -> String {
    state.isSeveral ? "\(CellText.safe(database, limit: 40))/\(number)" : "\(number)"
  }

  func now(_ database: String) -> Timestamp {
    state.sample?.databases.first { $0.name == database }?.state?.now ?? state.sample?.at ?? .latest
  }

  // MARK: Footer

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
    case .pause(let id): "Pause \(named(id))? Its running jobs continue."
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
