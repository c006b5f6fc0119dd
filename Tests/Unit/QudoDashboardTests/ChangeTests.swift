#if Dashboard
import Qudo
import QudoTesting
import Testing

@testable import QudoDashboard

/// What the buttons do.
@Suite struct ChangeTests {
  let clock = ManualClock()
  let driver: MemoryDriver
  let visitor: Visitor

  init() async {
    driver = MemoryDriver(name: "jobs", clock: clock)
    visitor = .open(Databases(driver), clock: clock)
    await visitor.get("")
  }

  /// Confirms a change, and returns the page that is shown after it.
  private func change(_ address: String, _ more: [(String, String)] = []) async throws -> Answer {
    let answer = try await visitor.confirm("confirm?\(address)", more)
    #expect(answer.status == 303, "\(answer.text)")
    return await visitor.follow(try #require(answer.header("Location")))
  }

  private func claim(_ kind: Kind) async throws -> ClaimedJob {
    try #require(
      try await driver.claim(ClaimRequest([.init(kind, leaseDuration: .seconds(60))], limit: 1)).jobs.first)
  }

  @Test("a waiting job is cancelled with a note, and said so once") func cancel() async throws {
    _ = try await driver.insert([NewJob("a", payload: Payload("x"))])
    let page = try await change("change=cancel&database=jobs&id=1", [("reason", "wrong <address>")])
    #expect(page.contains("Job 1 is cancelled.") && page.contains("wrong &lt;address&gt;"))
    #expect(try await driver.failures(LogQuery()).map(\.message) == ["wrong <address>"])
    #expect(!(await visitor.get("job?id=1")).contains("Job 1 is cancelled."))
    #expect(try await change("change=cancel&database=jobs&id=1").contains("There is no unfinished job 1."))
  }

  @Test("a delayed job runs now; a running one is recovered") func jobs() async throws {
    _ = try await driver.insert([NewJob("a", payload: Payload("x"), due: .after(.seconds(600)))])
    #expect((await visitor.get("job?id=1")).contains("change=run-now"))
    #expect(try await change("change=run-now&database=jobs&id=1").contains("Job 1 is due now."))
    _ = try await claim("a")
    #expect(try await change("change=recover&database=jobs&id=1").contains("Job 1 is ready again."))
    #expect(try await change("change=recover&database=jobs&id=1").contains("Job 1 is not running."))
  }

  @Test("a failure is replayed once, or resolved") func failures() async throws {
    _ = try await driver.insert([NewJob("a", payload: Payload("x")), NewJob("a", payload: Payload("y"))])
    for _ in 1...2 {
      _ = try await driver.settle(
        [Settlement(try await claim("a").lease, .failed(message: "no"))], claiming: nil)
    }
    #expect((await visitor.get("failures")).contains("change=replay"))
    let page = try await change("change=replay&database=jobs&id=1")
    #expect(page.contains("Failure 1 is replayed as job 3.") && page.contains("job 3</a>"))
    #expect(try await change("change=replay&database=jobs&id=1").contains("was replayed before, as job 3"))
    #expect(try await change("change=resolve&database=jobs&id=2").contains("Failure 2 is resolved."))
    #expect(try await change("change=resolve&database=jobs&id=9").contains("no failure 9"))
  }

  @Test("kinds and everything are paused, with an end and a note, and resumed") func pauses() async throws {
    _ = try await driver.insert([NewJob("a", payload: Payload("x"))])
    var page = try await change("change=pause&name=a", [("length", "30m"), ("reason", "the <disk>")])
    #expect(
      page.contains("The kind a is paused.") && page.contains("the &lt;disk&gt;")
        && page.contains("change=resume&amp;name=a"))
    let pause = try #require(try await driver.pauses().first)
    #expect(pause.kind == "a" && pause.endsAt == clock.now().wall.advanced(by: .seconds(1800)))
    clock.advance(by: .seconds(5))
    page = try await change("change=resume&name=a")
    #expect(page.contains("The kind a continues."))
    page = try await change("change=pause")
    #expect(page.contains("Everything is paused."))
    clock.advance(by: .seconds(5))
    #expect((await visitor.get("")).contains("<strong>Everything is paused</strong>"))
    #expect(try await change("change=resume").contains("Everything continues."))
    #expect(try await change("change=resume").contains("Nothing was paused."))
  }

  @Test("schedules are paused, resumed and run") func schedules() async throws {
    let next = clock.now().wall.advanced(by: .seconds(30))
    _ = try await driver.store([StoredSchedule(name: "a b", rule: "every 30s", kind: "a", nextTick: next)])
    #expect(
      try await change("change=pause-schedule&name=a+b", [("reason", "no paper")]).contains(
        "The schedule a b is paused."))
    #expect((await visitor.get("schedules")).contains("no paper"))
    #expect(try await change("change=resume-schedule&name=a+b").contains("The schedule a b continues."))
    #expect(try await change("change=run-schedule&name=a+b").contains("The schedule a b enqueued job 1."))
    #expect(try await change("change=run-schedule&name=none").contains("There is no schedule none."))
  }

  @Test("a form that says too little, or nonsense, changes nothing") func nonsense() async throws {
    for address in [
      "", "change=explode", "change=cancel", "change=cancel&id=1", "change=replay&database=jobs&id=x",
      "change=run-schedule",
    ] {
      #expect(await visitor.get("confirm?\(address)").status == 400)
    }
    #expect(try await visitor.confirm("confirm?change=pause", [("length", "a while")]).status == 400)
    #expect(try await visitor.confirm("confirm?change=pause", [("length", "0")]).status == 400)
    #expect(try await visitor.confirm("confirm?change=cancel&database=none&id=1").status == 400)
    #expect(try await driver.pauses().isEmpty)
  }
}
#endif
