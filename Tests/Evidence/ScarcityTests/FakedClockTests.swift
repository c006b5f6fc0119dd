import Evidence
import Foundation
import ProcessSupport
import Testing

#if canImport(Glibc)
import Glibc
#endif

#if os(Linux)
/// The wall clock of real processes jumps, while they work and while they wait.
@Suite(.enabled(if: Evidence.isAsked), .enabled(if: FakedCommand.isWanted)) struct FakedClockTests {
  /// Says that it began, and goes on when it is told to.
  private static let job = "p=sh -c 'echo {} > started; read x < go; echo {} > ended'"

  @Test("A jump of the wall clock takes no lease from a worker that renews it", .timeLimit(.minutes(5)))
  func clockJumpTakesNoRenewedLease() async throws {
    try await offThePool(Self.jumpUnderALease)
  }

  @Test("A jump of the wall clock moves delayed jobs and loses none", .timeLimit(.minutes(5)))
  func clockJumpMovesDelayedJobs() async throws {
    try await offThePool(Self.jumpRoundDelayedJobs)
  }

  @Test("a retry that was written in 2080 by a wrong clock is due after its delay", .timeLimit(.minutes(5)))
  func wrongYear() async throws { try await offThePool(Self.retryInAnotherYear) }

  @Sendable private static func retryInAnotherYear() throws {
    let place = try FakedCommand()
    let started = try place.pipe("started")
    try place.set("+20000d")
    try place.run("enqueue", "p", "later", "--delay", "2s")
    try place.run("enqueue", "f", "again")
    try place.run(
      "work", "f=false", "--max-retries", "3", "--retry-delay", "2s", "--skip-delayed", "--until-empty")
    #expect(try place.run("count", "--json").contains(#""delayed":1"#))
    try place.set("+0")
    let worker = try place.start("work", "p=sh -c 'echo {} > started'", "f=sh -c 'echo {} > started'")
    #expect(try [started.line(), started.line()].sorted() == ["again", "later"])
    worker.kill(SIGTERM)
    #expect(worker.end(within: 60) == 0)
    #expect(try place.run("count", "--json") == "[]\n")
    Evidence.report(
      "scarcity, faked clock", "2 delays of 2 s that were written 20,000 days ahead: both jobs ran today")
  }

  @Sendable private static func jumpUnderALease() throws {
    let place = try FakedCommand()
    let (started, go, ended) = (try place.pipe("started"), try place.pipe("go"), try place.pipe("ended"))
    try place.run("enqueue", "p", "one")
    let worker = try place.start("work", job, "--lease", "3s")
    #expect(try started.line() == "one")
    // Whoever comes first would have the job, if its lease ended.
    let rival = try place.start("work", job, "--lease", "3s")
    var jumps = 0
    for time in ["+1h", "-1h", "+30d", "-30d", "+0"] {
      try place.set(time)
      jumps += 1
      try place.renewals(2)
      #expect(started.isEmpty, "the job ran a second time when the wall clock was set to \(time)")
    }
    go.put("on\n")
    #expect(try ended.line() == "one")
    // A job that comes now runs, so that nothing is stuck.
    try place.run("enqueue", "p", "two")
    #expect(try started.line() == "two")
    go.put("on\n")
    #expect(try ended.line() == "two")
    for process in [worker, rival] {
      process.kill(SIGTERM)
      #expect(process.end(within: 60) == 0)
    }
    #expect(try place.run("count", "--json") == "[]\n")
    #expect(try place.run("failures", "--json") == "[]\n")
    #expect(started.isEmpty && ended.isEmpty)
    Evidence.report(
      "scarcity, faked clock",
      "\(jumps) jumps under a job that runs, each followed by 2 renewals: it ran once")
  }

  @Sendable private static func jumpRoundDelayedJobs() throws {
    let place = try FakedCommand()
    let started = try place.pipe("started")
    let worker = try place.start("work", "p=sh -c 'echo {} > started'")
    try place.run("enqueue", "p", "soon", "--delay", "30m")
    try place.run("enqueue", "p", "now")
    #expect(try started.line() == "now")
    // An hour forward: it is due, which the worker notices at its poll.
    try place.set("+1h")
    #expect(try started.line() == "soon")
    // An hour back: what is enqueued now for the next second is due when the clock says so, whatever it said before.
    try place.run("enqueue", "p", "later", "--delay", "30m")
    try place.set("-1h")
    try place.run("enqueue", "p", "at once")
    #expect(try started.line() == "at once")
    #expect(try place.run("count", "--json").contains(#""delayed":1"#))
    #expect(started.isEmpty)
    try place.set("+2h")
    #expect(try started.line() == "later")
    worker.kill(SIGTERM)
    #expect(worker.end(within: 60) == 0)
    #expect(try place.run("count", "--json") == "[]\n")
    #expect(started.isEmpty)
    Evidence.report(
      "scarcity, faked clock", "3 jumps round delayed jobs: each ran once, when the clock said so")
  }
}
#endif
