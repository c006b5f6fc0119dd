import Foundation
import Qudo
@testable import QudoCommand
import QudoMonitor
import Testing

/// What the screen looks like. To write the files again after a change: `QUDO_RECORD=1 swift test --filter ScreenTests`, and look at them.
@Suite struct ScreenTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Screens")

  private func check(_ state: TopState, _ name: String, _ options: Screen.Options = TopSamples.options) throws
  {
    let lines = Screen.lines(state, options)
    if options.isInteractive {
      #expect(lines.count == state.size.rows)
      for line in lines { #expect(line.width == state.size.columns, "\(name): \(line.text)|") }
    }
    // A bar at the end, so that no space at the end of a line matters to editors.
    let text = lines.map { $0.text + "|" }.joined(separator: "\n") + "\n"
    let file = Self.folder.appendingPathComponent("\(name).txt")
    if ProcessInfo.processInfo.environment["QUDO_RECORD"] == "1" {
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(text == (try String(contentsOf: file, encoding: .utf8)), "see \(name).txt")
  }

  /// A state after some samples, with the failures read.
  private func state(_ columns: Int, _ rows: Int, _ samples: [QueueSample] = busy) -> TopState {
    var state = TopState(size: ScreenSize(columns, rows))
    for sample in samples { _ = state.handle(.sample(sample)) }
    _ = state.handle(.loaded(.failures, .success(.failures(TopSamples.failures))))
    return state
  }

  private func press(_ state: inout TopState, _ keys: Key...) {
    for key in keys {
      for case .load(let request) in state.handle(.key(key)) {
        let content: TopState.Content =
          switch request {
          case .failures: .failures(TopSamples.failures)
          case .jobs: .jobs((1...120).map { TopSamples.job($0) })
          case .job: .job(.unfinished(TopSamples.job(3)), [TopSamples.failures[1].failure])
          case .failure: .failure(TopSamples.failures[0].failure)
          }
        _ = state.handle(.loaded(request, .success(content)))
      }
    }
  }

  private static let busy: [QueueSample] = [9000, 9500, 11_000, 12_345].map { ready in
    var sample = TopSamples.busy()
    sample.kinds { $0[0].ready = ready }
    return sample
  }

  @Test(
    "the overview in several sizes",
    arguments: [(80, 24), (120, 40), (40, 12), (20, 5), (80, 10), (200, 20), (1, 1)])
  func sizes(columns: Int, rows: Int) throws {
    try check(state(columns, rows), "overview-\(columns)x\(rows)")
  }

  @Test("an empty database, before any sample, and without a worker") func empty() throws {
    var state = TopState(size: ScreenSize(80, 24))
    try check(state, "starting")
    _ = state.handle(.sample(.empty))
    _ = state.handle(.loaded(.failures, .success(.failures([]))))
    try check(state, "empty")
    var sample = TopSamples.busy()
    sample.state { ($0.hasWorker, $0.workers) = (false, []) }
    _ = state.handle(.sample(sample))
    try check(state, "no-worker")
  }

  @Test("a database that cannot be read, alone and among others") func unreachable() throws {
    var state = TopState(size: ScreenSize(80, 24))
    _ = state.handle(.sample(.unreachable))
    _ = state.handle(
      .loaded(.failures, .failure(QudoError(.cannotOpen, "/mnt/far.db: there is no such file"))))
    try check(state, "unreachable")
    var sample = TopSamples.busy()
    sample.databases += QueueSample.unreachable.databases
    try check(self.state(80, 24, [sample]), "several")
    for number in 0..<6 { sample.databases.append(TopSamples.busy("copy\(number)").databases[0]) }
    sample.databases += QueueSample.unreachable.databases
    try check(self.state(100, 30, [sample]), "many-databases")
  }

  @Test("ten kinds with long and wide names, and escapes in them") func names() throws {
    var sample = TopSamples.busy()
    sample.state { state in
      state.kinds = (0..<10).map { number in
        let names = [
          "com.example.shop.orders.confirmation.mail.send.\(number)", "請求書を印刷して送る仕事その\(number)",
          "evil\u{1B}[2J\u{202E}\(number)", "e\u{301}te\u{301}-\(number)", "🎉🎉🎉🎉🎉🎉🎉🎉-\(number)",
        ]
        return TopSamples.kind(names[number % 5]) { ($0.ready, $0.running) = (number * 1000, number) }
      }
    }
    let state = state(80, 24, [sample])
    try check(state, "names-80x24")
    for line in Screen.lines(state, TopSamples.options) { #expect(!line.text.contains("\u{1B}")) }
    try check(self.state(40, 12, [sample]), "names-40x12")
  }

  @Test("more kinds than rows: the page with the selection") func manyKinds() throws {
    var sample = TopSamples.busy()
    sample.state { state in
      state.kinds = (10..<60).map { number in TopSamples.kind("kind\(number)") { $0.ready = number } }
    }
    var state = state(80, 24, [sample])
    try check(state, "many-kinds")
    press(&state, .character("G"))
    try check(state, "many-kinds-end")
  }

  @Test("the running jobs, the failures, and their details") func tabs() throws {
    var state = state(80, 24)
    press(&state, .tab)
    try check(state, "jobs")
    press(&state, .enter)
    try check(state, "job")
    press(&state, .tab)
    try check(state, "failures")
    press(&state, .enter)
    try check(state, "failure")
  }

  @Test("the metadata of a job, as text, and not without end") func metadata() throws {
    var state = state(80, 100)
    press(&state, .tab, .enter)
    var job = TopSamples.job(11)
    job.metadata = ["tenant": "acme", "evil\u{1B}[2J": "\u{9B}31m\u{202E}\n"]
    for number in 0..<100 { job.metadata["entry\(number)"] = "\(number)" }
    _ = state.handle(.loaded(.job(RowID("jobs", 11)), .success(.job(.unfinished(job), []))))
    let lines = Screen.lines(state, TopSamples.options).map(\.text)
    #expect(lines.contains { $0.hasPrefix("  metadata     tenant=acme ") })
    #expect(lines.contains { $0.contains("evil\\u{1b}[2J=\\u{9b}31m\\u{202e}\\n") })
    #expect(lines.contains { $0.contains("entry47=47") } && !lines.contains { $0.contains("entry48=48") })
    #expect(lines.contains { $0.contains("payload") })
    #expect(lines.allSatisfy { $0.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } })
  }

  @Test("a kind with its jobs, and a paused one") func kind() throws {
    var state = state(80, 24)
    press(&state, .enter, .down)
    try check(state, "kind")
    press(&state, .escape, .end, .enter)
    try check(state, "kind-paused")
    state.size = ScreenSize(40, 8)
    try check(state, "kind-40x8")
  }

  @Test("the dialogs: confirmation, filter, message, help") func dialogs() throws {
    var state = state(80, 12)
    press(&state, .character("p"))
    try check(state, "confirmation")
    press(&state, .character("n"), .character("/"), .character("t"), .character("h"))
    try check(state, "filter")
    press(&state, .character("\u{9B}"), .character("q"), .enter)
    try check(state, "filter-none")
    _ = state.handle(.changed(.failure(QudoError(.readOnly, "the file is read-only: run as its owner"))))
    try check(state, "message")
    state.size = ScreenSize(80, 24)
    press(&state, .escape, .character("?"))
    try check(state, "help")
  }

  @Test("without UTF-8, all is ASCII") func ascii() throws {
    var options = TopSamples.options
    options.ascii = true
    var sample = TopSamples.busy()
    sample.kinds { $0[1].kind = "請求書é" }
    let state = state(80, 24, Self.busy + [sample])
    try check(state, "ascii", options)
    #expect(Screen.lines(state, options).allSatisfy { $0.text.utf8.allSatisfy { $0 < 0x80 } })
  }

  @Test("one screen of text has all rows, and nothing about keys") func once() throws {
    var options = TopSamples.options
    options.isInteractive = false
    try check(state(120, .max), "once", options)
  }

  @Test("styles are sequences of their own, without color for NO_COLOR, and none at all for none")
  func styles() {
    var line = StyledLine("a", .bad)
    line.add("b", .plain)
    line.add("", .bold)
    #expect(line.terminal(.colors) == "\u{1B}[1;31ma\u{1B}[0mb")
    #expect(line.terminal(.monochrome) == "\u{1B}[1ma\u{1B}[0mb")
    #expect(line.terminal(.none) == "ab")
    let state = state(80, 24)
    let text = Screen.lines(state, TopSamples.options).map { $0.terminal(.monochrome) }.joined()
    #expect(text.firstMatch(of: /\u{1B}\[[0-9;]*[349][0-9]/) == nil)
  }
}
