@testable import Qudo
import QudoTesting
import Testing

/// Whether a worker answers, as a watchdog asks.
@Suite(.timeLimit(.minutes(5))) struct PulseTests {
  private let looks: AsyncStream<Void>
  private let look: AsyncStream<Void>.Continuation

  init() { (looks, look) = AsyncStream<Void>.makeStream() }

  private func worker(_ databases: Databases, _ clock: ManualClock, _ pulse: WorkerPulse) throws -> Worker<
    NoHooks
  > {
    var options = WorkerOptions()
    options.clock = clock
    options.retention = nil
    options.pulse = pulse
    return try Worker(Queue(databases), handlers: [JobHandler("a") { _ in }], options: options)
  }

  @Test("an idle worker answers, also while its clock stands still, and tells of its first look once")
  func idle() async throws {
    let clock = ManualClock()
    let pulse = WorkerPulse { [look] in look.yield() }
    await pulse.answered()
    let work = Task { [self] in try await worker(Databases(MemoryDriver(clock: clock)), clock, pulse).work() }
    for await _ in looks { break }
    for _ in 0..<10 { await pulse.answered() }
    work.cancel()
    _ = try await work.value
    await pulse.answered()
    look.finish()
    #expect(await looks.reduce(into: 0) { count, _ in count += 1 } == 0)
  }

  @Test("a worker that hangs in a call does not answer until it goes on") func hanging() async throws {
    let fleet = try Fleet("a")
    fleet["a"].fault = .hangs
    let pulse = WorkerPulse { [look] in look.yield() }
    let log = LineLog()
    let work = Task { [self] in try await worker(Databases(fleet["a"]), fleet.clock, pulse).work() }
    await fleet["a"].arrived(1)
    let asked = Task {
      await pulse.answered()
      log.add("answered")
    }
    // Who waits for an answer can give up.
    let cancelled = Task { await pulse.answered() }
    cancelled.cancel()
    await cancelled.value
    log.add("goes on")
    fleet["a"].fault = .none
    await asked.value
    #expect(log.lines == ["goes on", "answered"])
    for await _ in looks { break }
    work.cancel()
    _ = try await work.value
  }

  @Test("an answer that comes before the caller waits is not lost", .timeLimit(.minutes(1))) func early()
    async throws
  {
    let pulse = WorkerPulse {}
    let engine = Locked(0)
    // One engine answers within the question, another one never.
    engine.withLock { $0 = pulse.join { pulse.beat(engine.withLock { $0 }) } }
    let log = LineLog()
    for _ in 0..<2 {
      await pulse.answered()
      // The time limit cancels a question that waits forever; the rest would wait forever, too.
      try Task.checkCancellation()
    }
    log.add("early")
    // An answer to an earlier question is none to a later one.
    let silent = pulse.join {}
    let (asked, ask) = AsyncStream<Void>.makeStream()
    let other = pulse.join { ask.yield() }
    let late = Task {
      await pulse.answered()
      log.add("late")
    }
    for await _ in asked { break }
    pulse.beat(other)
    log.add("still waits")
    pulse.beat(silent)
    await late.value
    #expect(log.lines == ["early", "still waits", "late"])
    // An engine that ends is waited for no more.
    for gone in [silent, other] { pulse.leave(gone) }
    await pulse.answered()
  }

  @Test("a worker of several databases answers when each of its engines does") func several() async throws {
    let fleet = try Fleet("a", "b")
    let pulse = WorkerPulse { [look] in look.yield() }
    let work = Task { [self] in try await worker(fleet.databases, fleet.clock, pulse).work() }
    for await _ in looks { break }
    for _ in 0..<10 { await pulse.answered() }
    work.cancel()
    _ = try await work.value
  }
}
