import Qudo
@testable import QudoCommand
import QudoMonitor
import Testing

@Suite struct TopStateTests {
  private var state = TopState(size: ScreenSize(80, 24))

  init() { _ = state.handle(.sample(TopSamples.busy())) }

  @discardableResult
  private mutating func press(_ keys: Key...) -> [TopState.Action] { keys.flatMap { state.handle(.key($0)) } }
  @discardableResult
  private mutating func type(_ text: String) -> [TopState.Action] {
    text.flatMap { state.handle(.key(.character($0))) }
  }

  @Test("q and Ctrl-C quit, also in a dialog; Ctrl-Z suspends") mutating func quits() {
    #expect(type("q") == [.quit] && press(.control("c")) == [.quit] && press(.control("z")) == [.suspend])
    type("/")
    #expect(type("q").isEmpty && state.draft == "q")
    #expect(press(.control("c")) == [.quit])
  }

  @Test("the selection stays within the rows, and on its row when they change their order")
  mutating func selects() {
    press(.up)
    #expect(state.selection == 0)
    type("jj")
    #expect(state.kindRows[state.selection].sample.kind == "report")
    type("G")
    #expect(state.selection == 3)
    type("j")
    #expect(state.selection == 3)
    type("gs")
    #expect(state.sort == .ready && state.selection == 0)
    press(.down)
    let kind = state.kindRows[1].sample.kind
    var sample = TopSamples.busy()
    sample.kinds { kinds in
      for index in kinds.indices where kinds[index].kind == kind { kinds[index].ready = 9_000_000 }
    }
    _ = state.handle(.sample(sample))
    #expect(state.selection == 0 && state.kindRows[0].sample.kind == kind)
  }

  @Test("the filter narrows while it is typed; Enter keeps it, Escape ends it") mutating func filters() {
    type("/REP")
    #expect(state.kindRows.map(\.sample.kind) == ["report"] && state.filter == "")
    press(.backspace, .enter)
    #expect(state.filter == "RE" && state.draft == nil && state.kindRows.count == 1)
    type("/")
    #expect(state.draft == "RE")
    press(.control("u"))
    #expect(state.kindRows.count == 4)
    type("zzz")
    #expect(state.kindRows.isEmpty && press(.enter).isEmpty && press(.enter).isEmpty)
    press(.escape)
    #expect(state.kindRows.count == 4)
  }

  @Test("Tab goes from kinds to jobs to failures, which are read") mutating func tabs() {
    #expect(press(.tab).isEmpty && state.tab == .jobs && state.jobRows.map(\.job.id) == [11, 12, 13])
    #expect(press(.tab).isEmpty && state.tab == .failures, "they are being read since the first sample")
    _ = state.handle(.loaded(.failures, .success(.failures(TopSamples.failures))))
    #expect(state.failureRows.count == 2)
    #expect(press(.tab).isEmpty && state.tab == .kinds)
    #expect(press(.backTab) == [.load(.failures)])
  }

  @Test("a first sample reads the failures, and others only if there are new ones")
  mutating func readsFailures() {
    _ = state.handle(.loaded(.failures, .success(.failures(TopSamples.failures))))
    #expect(state.handle(.sample(TopSamples.busy())).isEmpty)
    var sample = TopSamples.busy()
    sample.state { $0.newestFailure = 99 }
    #expect(state.handle(.sample(sample)) == [.load(.failures)])
    #expect(state.handle(.sample(sample)).isEmpty, "it is being read")
    _ = state.handle(.loaded(.failures, .failure(QudoError(.unreachable, "gone"))))
    #expect(state.failuresError != nil && state.handle(.sample(sample)) == [.load(.failures)])
  }

  @Test("Enter opens a kind, its jobs page by page, and a job; Escape goes back") mutating func opens() {
    _ = state.handle(.loaded(.failures, .success(.failures([]))))
    let kind = RowID("jobs", Kind("mail.send"))
    #expect(press(.enter) == [.load(.jobs(kind, after: 0))])
    #expect(state.detail == .kind(kind) && press(.right).isEmpty, "there is no other page yet")
    let jobs = (1...101).map { TopSamples.job($0) }
    _ = state.handle(.loaded(.jobs(kind, after: 0), .success(.jobs(jobs))))
    #expect(state.kindJobs.count == 100 && state.hasMoreJobs)
    type("jj")
    #expect(state.handle(.sample(TopSamples.busy())) == [.load(.jobs(kind, after: 0))], "it follows")
    _ = state.handle(.loaded(.jobs(kind, after: 0), .success(.jobs(jobs))))
    #expect(state.selection == 2)
    #expect(press(.right) == [.load(.jobs(kind, after: 100))] && state.selection == 0)
    // A late answer for the page before.
    _ = state.handle(.loaded(.jobs(kind, after: 0), .success(.jobs(jobs))))
    _ = state.handle(.loaded(.jobs(kind, after: 100), .success(.jobs([TopSamples.job(101)]))))
    #expect(state.kindJobs.map(\.id) == [101] && !state.hasMoreJobs && press(.right).isEmpty)
    let id = RowID("jobs", Int64(101))
    #expect(press(.enter) == [.load(.job(id))] && state.detail == .job(id) && state.content == nil)
    _ = state.handle(.loaded(.job(id), .success(.job(.unrecorded, []))))
    #expect(state.content != nil)
    type("jjj")
    #expect(state.scroll == 3)
    state.limitScroll(1)
    #expect(state.scroll == 1)
    #expect(press(.escape) == [.load(.jobs(kind, after: 100))] && state.detail == .kind(kind))
    #expect(press(.left) == [.load(.jobs(kind, after: 0))])
    #expect(press(.escape).isEmpty && state.detail == nil)
  }

  @Test("pasted text is for the filter, and presses no key elsewhere") mutating func pastes() {
    #expect(press(.paste("qp")).isEmpty && state.confirmation == nil && state.draft == nil)
    type("p")
    #expect(press(.paste("y")).isEmpty && state.confirmation != nil, "it answers no question")
    press(.escape)
    type("/re")
    press(.paste("port"))
    #expect(state.draft == "report" && state.kindRows.map(\.sample.kind) == ["report"])
    press(.paste(String(repeating: "x", count: 1000)))
    #expect(state.draft?.count == 100)
  }

  @Test("the selection stays on its job, and a question about it, when jobs come and go")
  mutating func follows() {
    func running(_ ids: Int64...) -> QueueSample {
      var sample = TopSamples.busy()
      sample.state { state in
        state.workers = [
          WorkerSample(
            processID: 1,
            jobs: ids.map { TopSamples.running($0, "mail.send", 1, secondsAgo: 100 - Int($0)) })
        ]
      }
      return sample
    }
    _ = state.handle(.sample(running(11, 12, 13)))
    press(.tab)
    type("j")
    #expect(state.jobRows[state.selection].job.id == 12)
    type("c")
    #expect(state.confirmation == .cancel(RowID("jobs", 12)))
    _ = state.handle(.sample(running(5, 6, 7, 12, 13)))
    #expect(state.jobRows[state.selection].job.id == 12)
    #expect(type("y") == [.perform(.cancel(RowID("jobs", 12)))])
    // It has ended: the next one is selected now, and stays so.
    _ = state.handle(.sample(running(5, 6, 7, 13, 14)))
    #expect(state.jobRows[state.selection].job.id == 13)
    _ = state.handle(.sample(running(7, 13, 14, 15)))
    #expect(state.jobRows[state.selection].job.id == 13)
    type("c")
    _ = state.handle(.sample(running(14, 15)))
    #expect(type("y") == [.perform(.cancel(RowID("jobs", 13)))], "the one of the question, though it is gone")
    _ = state.handle(.sample(running()))
    #expect(state.jobRows.isEmpty && type("c").isEmpty && state.confirmation == nil)
  }

  @Test("so it does among the jobs of a kind") mutating func followsKindJobs() {
    let kind = RowID("jobs", Kind("mail.send"))
    func load(_ ids: ClosedRange<Int>, after: Int64 = 0) {
      _ = state.handle(.loaded(.jobs(kind, after: after), .success(.jobs(ids.map { TopSamples.job($0) }))))
    }
    press(.enter)
    load(1...9)
    type("jjj")
    #expect(state.kindJobs[state.selection].id == 4)
    type("c")
    load(3...9)
    #expect(state.kindJobs[state.selection].id == 4)
    load(5...9)
    #expect(type("y") == [.perform(.cancel(RowID("jobs", 4)))])
    #expect(state.kindJobs[state.selection].id == 6, "the one that took its place in the list")
    load(6...12)
    #expect(state.kindJobs[state.selection].id == 6)
    // Another page begins at its top, although the first one is still shown.
    load(6...200)
    type("jj")
    #expect(press(.right) == [.load(.jobs(kind, after: 105))] && state.selection == 0)
    load(106...120, after: 105)
    #expect(state.kindJobs[state.selection].id == 106)
  }

  @Test("p pauses or resumes the selected kind, once it is confirmed") mutating func pauses() {
    type("p")
    #expect(state.confirmation == .pause(RowID("jobs", "mail.send")))
    #expect(type("n").isEmpty && state.confirmation == nil && state.message?.text == "nothing was changed")
    type("p")
    #expect(type("y") == [.perform(.pause(RowID("jobs", "mail.send")))])
    type("jjj")
    #expect(state.kindRows[state.selection].sample.pause != nil)
    type("p")
    #expect(type("Y") == [.perform(.resume(RowID("jobs", "thumb")))])
    _ = state.handle(.changed(.failure(QudoError(.readOnly, "cannot\u{1B}[2J write"))))
    #expect(state.message == .init(text: "cannot\\u{1b}[2J write", isError: true))
    type("j")
    #expect(state.message == nil)
  }

  @Test("where everything is paused, a kind cannot be resumed alone") mutating func allPaused() {
    var sample = TopSamples.busy()
    sample.kinds { kinds in for index in kinds.indices { kinds[index].isPaused = true } }
    _ = state.handle(.sample(sample))
    type("p")
    #expect(state.confirmation == nil && state.message?.isError == true)
  }

  @Test("c cancels the selected job, r replays the selected failure, and nothing else")
  mutating func changes() {
    type("c")
    #expect(state.confirmation == nil && state.message?.isError == true)
    type("r")
    #expect(state.confirmation == nil && state.message?.isError == true)
    press(.tab)
    type("jc")
    #expect(type("y") == [.perform(.cancel(RowID("jobs", 12)))])
    press(.tab)
    _ = state.handle(.loaded(.failures, .success(.failures(TopSamples.failures))))
    type("r")
    #expect(state.confirmation == .replay(RowID("jobs", 8)))
    #expect(press(.escape).isEmpty && state.confirmation == nil)
    press(.enter)
    type("r")
    #expect(type("y") == [.perform(.replay(RowID("jobs", 8)))])
    type("p")
    #expect(state.confirmation == nil)
  }

  @Test("any key closes the help") mutating func helps() {
    type("?")
    #expect(state.showsHelp)
    #expect(type("q").isEmpty && !state.showsHelp)
  }

  @Test("no order of events traps, and the selection is always a row", arguments: 0..<12)
  mutating func random(seed: Int) {
    var random = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
    func next(_ count: Int) -> Int {
      random ^= random << 13
      random ^= random >> 7
      random ^= random << 17
      return Int(random % UInt64(count))
    }
    let keys: [Key] = [
      .up, .down, .left, .right, .home, .end, .pageUp, .pageDown, .enter, .escape, .tab, .backTab, .backspace,
      .character("p"), .character("c"), .character("r"), .character("s"), .character("/"), .character("y"),
      .character("?"), .character("a"), .character("j"), .control("u"),
    ]
    for _ in 0..<400 {
      var actions: [TopState.Action] = []
      switch next(10) {
      case 0: actions = state.handle(.sample([TopSamples.busy(), .empty, .unreachable][next(3)]))
      case 1: actions = state.handle(.resize(ScreenSize(1 + next(130), 1 + next(50))))
      default: actions = state.handle(.key(keys[next(keys.count)]))
      }
      for case .load(let request) in actions where next(3) > 0 {
        let content: TopState.Content =
          switch request {
          case .failures: .failures(next(2) == 0 ? [] : TopSamples.failures)
          case .jobs: .jobs((0..<next(103)).map { TopSamples.job($0 + 1) })
          case .job: .job(.unfinished(TopSamples.job(1)), TopSamples.failures.map(\.failure))
          case .failure: .failure(TopSamples.failures.first?.failure)
          }
        _ = state.handle(
          .loaded(request, next(5) == 0 ? .failure(QudoError(.busy, "later")) : .success(content)))
      }
      let lines = Screen.lines(state, TopSamples.options)
      #expect(lines.count == state.size.rows && lines.allSatisfy { $0.width == state.size.columns })
      state.limitScroll(Screen.mostScroll(state, TopSamples.options))
    }
  }
}
