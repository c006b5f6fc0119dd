import QudoTesting
import Testing

@testable import Qudo

/// How a worker's databases share its slots: the decisions alone, without a task, a database or a clock.
@Suite struct SeveralSourcesTests {
  private var fleet = SourceFleet(2)

  @Test("free slots are shared before it is known which databases have jobs") mutating func fairShares() {
    fleet = SourceFleet(2, concurrency: 4)
    #expect(fleet.claim(0)?.limit == 2)
    #expect(
      fleet.claim(1)?.limit == 1, "half of what the other left; the rest when the other has got its own")
  }

  @Test("an idle database takes no slots from the others") mutating func idle() {
    fleet = SourceFleet(2, concurrency: 4)
    fleet.answer(1, fleet.claim(1), jobs: 0)
    #expect(fleet.claim(0)?.limit == 4)
  }

  @Test("a free slot goes to the source with the fewest runs") mutating func fewestRuns() {
    fleet = SourceFleet(2, concurrency: 2)
    fleet.answer(1, fleet.claim(1), jobs: 0)
    fleet.answer(0, fleet.claim(0), jobs: 2)
    #expect(fleet.runs == [0, 0])
    fleet.ring(1)
    #expect(fleet.claim(1) == nil && fleet.scheduler.sources[1].turn == .waiting(for: .slot))
    fleet.ring(0)
    fleet.end(of: 0)
    #expect(fleet.scheduler.sources[1].turn == .called(slots: 1, kinds: [:]), "its pump is woken")
    #expect(fleet.claim(0) == nil, "the slot is kept")
    fleet.answer(1, fleet.claim(1), jobs: 1)
    #expect(fleet.runs == [0, 1])
  }

  @Test("a buffered job of another source takes a slot at once") mutating func bufferedJob() {
    fleet = SourceFleet(2, concurrency: 1)
    let late = fleet.claim(0)
    fleet.now += Turn.promptAnswer
    fleet.answer(1, fleet.claim(1), jobs: 1)
    fleet.answer(0, late, jobs: 1)
    #expect(fleet.runs == [1], "the late answer finds no slot")
    fleet.end(of: 1)
    #expect(fleet.runs == [0])
  }

  @Test("two backlogs take turns at one slot") mutating func turns() {
    fleet = SourceFleet(2, concurrency: 1)
    var turns: [Int] = []
    while turns.count < 6 {
      for source in [0, 1] {
        if let request = fleet.claim(source) { fleet.answer(source, request, jobs: request.limit) }
      }
      #expect(fleet.runs.count == 1)
      guard let source = fleet.runs.first else { return }
      turns.append(source)
      fleet.end(of: source)
    }
    #expect(turns == [0, 1, 0, 1, 0, 1])
  }

  @Test("a claim that is not answered promptly holds nobody up") mutating func hangs() {
    fleet = SourceFleet(2, concurrency: 1)
    #expect(fleet.claim(1)?.limit == 1)
    fleet.now = 100
    #expect(fleet.claim(0) == nil)
    #expect(fleet.waits[0] == Turn.promptAnswer, "it looks again when the claim keeps nothing any more")
    fleet.now = Turn.promptAnswer
    #expect(fleet.claim(0)?.limit == 1)
  }

  @Test("a limit of a kind holds over all databases") mutating func kindLimit() {
    fleet = SourceFleet(2, concurrency: 8, limit: 2)
    let first = fleet.claim(0)
    #expect(first?.demands.map(\.limit) == [2])
    #expect(fleet.claim(1) == nil && fleet.scheduler.sources[1].turn == .waiting(for: .kind))
    fleet.answer(0, first, jobs: 2)
    #expect(fleet.claim(1) == nil)
    fleet.end(of: 0)
    #expect(
      fleet.scheduler.sources[1].turn == .called(slots: 0, kinds: ["a": 1]), "the one that waited has it")
    #expect(fleet.claim(0) == nil)
    #expect(fleet.claim(1)?.demands.map(\.limit) == [1])
  }

  @Test("a late answer does not exceed the limit of a kind") mutating func lateAnswer() {
    fleet = SourceFleet(2, concurrency: 8, limit: 2)
    let late = fleet.claim(0)
    fleet.now = Turn.promptAnswer
    fleet.answer(1, fleet.claim(1), jobs: 2)
    fleet.answer(0, late, jobs: 2)
    #expect(fleet.runs == [1, 1])
    let released = fleet.scheduler.sources[0].finished.all.map(\.outcome)
    #expect(released.count == 2 && released.allSatisfy { if case .released = $0 { true } else { false } })
  }

  @Test("a database that is closed keeps nothing") mutating func closed() {
    fleet = SourceFleet(2, concurrency: 1)
    _ = fleet.claim(1)
    #expect(fleet.claim(0) == nil)
    fleet.scheduler.close(1, now: 0) { _ in 0 }
    #expect(fleet.scheduler.sources[0].isSignalled)
    #expect(fleet.claim(0)?.limit == 1)
  }

  @Test("the work ends when all databases are empty, and no doorbell has rung since") mutating func end() {
    fleet = SourceFleet(2, .untilEmpty(skipDelayed: false))
    fleet.findNothing(0)
    #expect(!fleet.scheduler.isOver, "the other one was not asked")
    fleet.ring(0)
    fleet.findNothing(1)
    #expect(!fleet.scheduler.isOver, "a job may have been enqueued")
    fleet.findNothing(0)
    #expect(fleet.claim(1) == nil && fleet.claim(0) == nil)
    #expect(fleet.scheduler.isOver && fleet.finished == [0, 1])
  }

  @Test("a database that is closed does not keep the others from ending") func closedAtTheEnd() {
    var fleet = SourceFleet(2, .untilEmpty(skipDelayed: false))
    fleet.findNothing(0)
    #expect(!fleet.scheduler.isOver)
    fleet.scheduler.close(1, now: 0) { _ in 1 }
    #expect(!fleet.scheduler.isOver, "a job may have been enqueued")
    fleet.ring(0)
    fleet.findNothing(0)
    #expect(fleet.scheduler.isOver && fleet.finished == [0])
  }

  @Test("stuck slots of all sources count together") mutating func stuck() {
    fleet = SourceFleet(2, concurrency: 3, stuck: 2)
    for source in [0, 1] { fleet.answer(source, fleet.claim(source), jobs: 1) }
    #expect(fleet.runs.sorted() == [0, 1])
    for time in [1_000_000, 6_000_000] as [Int64] {
      fleet.now = time
      for source in [0, 1] { _ = fleet.claim(source) }
    }
    #expect(fleet.scheduler.isStuck && fleet.scheduler.phase != .working)
  }

  @Test(
    "all jobs are run once, within the limits, whatever takes how long", arguments: 0..<200 as Range<UInt64>)
  func random(seed: UInt64) throws {
    var simulation = Simulation(seed)
    try simulation.run()
  }
}

/// A scheduler with several sources, whose pumps are asked by hand.
private struct SourceFleet {
  var scheduler: Scheduler
  var now: Int64 = 0
  private var rings: [UInt64]
  /// The times until which pumps wait.
  private(set) var waits: [Int: Int64] = [:]
  private(set) var finished: Set<Int> = []
  private var nextID: Int64 = 0
  private var slots: [(slot: Int, source: Int)] = []

  init(
    _ count: Int, _ mode: Scheduler.Mode = .forever, concurrency: Int = 1, limit: Int? = nil,
    stuck: Int? = nil
  ) {
    var options = WorkerOptions()
    options.concurrency = concurrency
    options.maxStuckSlots = stuck
    options.maxPrefetch = 0
    var policy = JobPolicy(maxConcurrency: limit)
    if stuck != nil { policy.timeLimit = .seconds(1) }
    let rules = WorkerRules(
      mode: mode, handlers: ["a": JobHandler("a", policy: policy) { _ in }], options: options)
    scheduler = Scheduler(rules, sources: count, probeInterval: 30_000_000)
    rings = Array(repeating: 0, count: count)
    for source in 0..<count { scheduler.open(source, Source.Settings(pollInterval: 5_000_000)) }
  }

  /// The sources of the runs, in the order of their slots.
  var runs: [Int] { slots.map(\.source) }

  mutating func ring(_ source: Int) { rings[source] += 1 }

  /// Does what a source's pump is told, and returns what it claims; nil if it waits or ends instead.
  mutating func claim(_ source: Int) -> ClaimRequest? {
    for _ in 0..<20 {
      switch scheduler.next(source, now: now, rings: { [rings] in rings[$0] }).action {
      case .settle(let settlements, let request):
        scheduler.settled(source, settlements, settlements.map { _ in .settled() })
        if let request { return request }
      case .checkForRemainingJobs: scheduler.sources[source].rest([])
      case .wait(let until):
        waits[source] = until
        return nil
      case .finish:
        finished.insert(source)
        return nil
      case .renew(let leases, let length):
        _ = scheduler.extended(source, leases, leases, by: length, asked: now)
      default: continue
      }
    }
    Issue.record("it does not come to rest")
    return nil
  }

  /// Answers a claim, and begins what may begin.
  mutating func answer(_ source: Int, _ request: ClaimRequest?, jobs: Int) {
    guard let request else {
      Issue.record("it did not claim")
      return
    }
    var claimed: [ClaimedJob] = []
    for _ in 0..<jobs {
      nextID += 1
      claimed.append(.sample(nextID, "a"))
    }
    _ = scheduler.claimed(source, Claim(jobs: claimed), by: request, asked: now, now: now)
    dispatch()
    scheduler.endTurn(source, now: now)
    dispatch()
  }

  /// Answers a source's claims with no jobs, until it waits.
  mutating func findNothing(_ source: Int) {
    while let request = claim(source) { answer(source, request, jobs: 0) }
  }

  private mutating func dispatch() {
    while let slot = scheduler.openSlot() {
      guard let job = scheduler.begin(slot, now: now) else { return scheduler.closeSlot(slot) }
      slots.append((slot, job.source))
    }
  }

  /// Ends a run of a source.
  mutating func end(of source: Int) {
    guard let index = slots.firstIndex(where: { $0.source == source }) else {
      Issue.record("it has no run")
      return
    }
    let slot = slots.remove(at: index).slot
    let (next, goesOn) = scheduler.finishAndTakeNext(
      slot, .completed(), took: 1_000_000, now: now, recording: false)
    if let next { slots.append((slot, next.source)) } else if goesOn { scheduler.closeSlot(slot) }
  }
}

/// Random databases, jobs and durations, event by event, with the times that the events happen to have.
private struct Simulation {
  private enum Event {
    case decide(Int)
    case answer(Int, settlements: [Settlement], request: ClaimRequest?, asked: Int64)
    case end(slot: Int, began: Int64)
    case enqueue(Int, Kind)
  }
  private struct Job: Equatable {
    let id: Int64
    let kind: Kind
  }

  private var random: Seeded
  private var scheduler: Scheduler
  private var events: [(time: Int64, event: Event)] = []
  private var now: Int64 = 0
  private var ready: [[Job]]
  private var unsettled: [Int64: (source: Int, job: Job)] = [:]
  private var running: [Int: Job] = [:]
  private var parked: [Int] = []
  private var waits: Set<Int> = []
  private var rings: [UInt64]
  private var isListening: [Bool]
  /// The sources whose calls are not answered yet.
  private var busy: Set<Int> = []
  private var ended: Set<Int> = []
  private var completed: Set<Int64> = []
  private let limit: Int
  private let concurrency: Int
  private let count: Int
  private let slowest: Int64
  private var nextID: Int64 = 0

  init(_ seed: UInt64) {
    random = Seeded(seed: seed)
    count = .random(in: 1...4, using: &random)
    concurrency = .random(in: 1...5, using: &random)
    limit = .random(in: 1...3, using: &random)
    slowest = [1_000, 100_000, 2_000_000].randomElement(using: &random) ?? 1_000
    var options = WorkerOptions()
    options.concurrency = concurrency
    options.maxPrefetch = [0, 3, 1000].randomElement(using: &random) ?? 0
    let limited = JobHandler("limited", policy: JobPolicy(maxConcurrency: limit)) { _ in }
    let rules = WorkerRules(
      mode: .untilEmpty(skipDelayed: false), handlers: ["a": JobHandler("a") { _ in }, "limited": limited],
      options: options)
    scheduler = Scheduler(rules, sources: count, probeInterval: 30_000_000)
    ready = Array(repeating: [], count: count)
    rings = Array(repeating: 0, count: count)
    isListening = Array(repeating: false, count: count)
    for source in 0..<count {
      scheduler.open(source, Source.Settings(pollInterval: 3_600_000_000))
      schedule(.decide(source), in: 0...1_000)
      for _ in 0..<Int.random(in: 0...30, using: &random) { enqueue(source, kind()) }
    }
    for _ in 0..<10 {
      schedule(.enqueue(.random(in: 0..<count, using: &random), kind()), in: 0...3_000)
    }
  }

  private mutating func kind() -> Kind { Bool.random(using: &random) ? "a" : "limited" }

  private mutating func enqueue(_ source: Int, _ kind: Kind) {
    nextID += 1
    ready[source].append(Job(id: nextID, kind: kind))
    rings[source] += 1
    if isListening[source] { scheduler.signal(source) }
  }

  private mutating func schedule(_ event: Event, in range: ClosedRange<Int64>) {
    events.append((now + .random(in: range, using: &random), event))
  }

  mutating func run() throws {
    for _ in 0..<20_000 {
      wake()
      if ended.count == count { break }
      guard let index = events.indices.min(by: { events[$0].time < events[$1].time }) else { break }
      let (time, event) = events.remove(at: index)
      now = max(now, time)
      switch event {
      case .decide(let source): decide(source)
      case .answer(let source, let settlements, let request, let asked):
        answer(source, settlements, request, asked)
      case .end(let slot, let began): end(slot, began)
      case .enqueue(let source, let kind): if ended.isEmpty, !scheduler.isOver { enqueue(source, kind) }
      }
      try #require(running.count <= concurrency)
      try #require(running.values.count { $0.kind == "limited" } <= limit)
    }
    try #require(ended.count == count, "a pump waits forever")
    #expect(ready.allSatisfy(\.isEmpty) && unsettled.isEmpty && Int64(completed.count) == nextID)
  }

  private mutating func wake() {
    while let source = scheduler.takeSignalled() {
      if waits.remove(source) != nil { schedule(.decide(source), in: 0...50) }
    }
  }

  private mutating func decide(_ source: Int) {
    // Else it was the timer of an earlier wait.
    guard !ended.contains(source), !busy.contains(source) else { return }
    waits.remove(source)
    for _ in 0..<50 {
      let action = scheduler.next(source, now: now, rings: { [rings] in rings[$0] }).action
      dispatch()
      switch action {
      case .settle(let settlements, let request):
        busy.insert(source)
        return schedule(
          .answer(source, settlements: settlements, request: request, asked: now), in: 1...slowest)
      case .wait(let until):
        if scheduler.sources[source].isSignalled { continue }
        waits.insert(source)
        if until < .max { events.append((max(until, now + 1), .decide(source))) }
        return
      case .listen: isListening[source] = true
      case .stopListening: isListening[source] = false
      case .checkForRemainingJobs:
        let held = unsettled.values.filter { $0.source == source }
        scheduler.sources[source].rest([JobCount("a", ready: ready[source].count, running: held.count)])
      case .renew(let leases, let length):
        _ = scheduler.extended(source, leases, leases, by: length, asked: now)
      case .finish:
        ended.insert(source)
        scheduler.close(source, now: now) { [rings] in rings[$0] }
        return
      default: continue
      }
    }
    Issue.record("it does not come to rest")
  }

  private mutating func answer(
    _ source: Int, _ settlements: [Settlement], _ request: ClaimRequest?, _ asked: Int64
  ) {
    busy.remove(source)
    for settlement in settlements {
      guard let (_, job) = unsettled.removeValue(forKey: settlement.lease.job) else {
        Issue.record("settled twice")
        continue
      }
      if case .released = settlement.outcome { ready[source].append(job) } else { completed.insert(job.id) }
    }
    scheduler.settled(source, settlements, settlements.map { _ in .settled() })
    if let request {
      var jobs: [ClaimedJob] = []
      var left = request.demands.reduce(into: [Kind: Int]()) { $0[$1.kind] = $1.limit ?? .max }
      var kept: [Job] = []
      for job in ready[source] {
        guard jobs.count < request.limit, let room = left[job.kind], room > 0 else {
          kept.append(job)
          continue
        }
        left[job.kind] = room - 1
        unsettled[job.id] = (source, job)
        jobs.append(.sample(job.id, job.kind))
      }
      ready[source] = kept
      _ = scheduler.claimed(source, Claim(jobs: jobs), by: request, asked: asked, now: now)
    }
    dispatch()
    scheduler.endTurn(source, now: now)
    decide(source)
  }

  private mutating func dispatch() {
    while let slot = scheduler.openSlot() {
      guard let job = scheduler.begin(slot, now: now) else {
        scheduler.closeSlot(slot)
        break
      }
      begin(slot, job)
    }
    while let slot = parked.last, let job = scheduler.begin(slot, now: now) {
      parked.removeLast()
      begin(slot, job)
    }
  }

  private mutating func begin(_ slot: Int, _ job: Scheduler.Assignment) {
    running[slot] = Job(id: job.job.id, kind: job.job.kind)
    schedule(.end(slot: slot, began: now), in: Bool.random(using: &random) ? 1...100 : 1...400_000)
  }

  private mutating func end(_ slot: Int, _ began: Int64) {
    guard running.removeValue(forKey: slot) != nil else { return }
    let (next, goesOn) = scheduler.finishAndTakeNext(
      slot, .completed(), took: now - began, now: now, recording: false)
    if let next { begin(slot, next) } else if goesOn { parked.append(slot) }
  }
}

extension ClaimedJob {
  fileprivate static func sample(_ id: Int64, _ kind: Kind) -> ClaimedJob {
    ClaimedJob(
      lease: Lease(job: id, token: 1, holder: 1, expiresAt: 0), kind: kind, payload: Payload([]), priority: 0,
      uniqueKey: nil, attempt: 1, enqueuedAt: Timestamp(microseconds: 0), dueAt: Timestamp(microseconds: 0))
  }
}
