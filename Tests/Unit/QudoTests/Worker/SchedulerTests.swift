import Testing

@testable import Qudo

/// The worker's decisions, without a task, a database or a clock.
@Suite struct SchedulerTests {
  private var nextID: Int64 = 0
  private var state: Scheduler

  init() {
    state = Self.state()
  }

  private static func state(
    _ mode: Scheduler.Mode = .forever, concurrency: Int = 2, policy: JobPolicy = JobPolicy(),
    _ change: (inout WorkerOptions) -> Void = { _ in }
  ) -> Scheduler {
    var options = WorkerOptions()
    options.concurrency = concurrency
    options.shutdownGracePeriod = .seconds(10)
    options.cancellationGracePeriod = .seconds(5)
    change(&options)
    let rules = WorkerRules(
      mode: mode, handlers: ["a": JobHandler("a", policy: policy) { _ in }], options: options)
    return Scheduler(rules)
  }

  private mutating func jobs(_ count: Int) -> [ClaimedJob] {
    (0..<count).map { _ in
      nextID += 1
      return ClaimedJob(
        lease: Lease(job: nextID, token: 1, holder: 1, expiresAt: 0), kind: "a", payload: Payload([]),
        priority: 0, uniqueKey: nil, attempt: 1,
        enqueuedAt: Timestamp(microseconds: 0), dueAt: Timestamp(microseconds: 0))
    }
  }

  /// Does what the state asks until it waits or ends, and says what that was. Each claim gets at most `supply` jobs.
  private mutating func settle(now: Int64, supply: inout Int) -> (
    asked: [Int], settled: [Settlement], waitsUntil: Int64?
  ) {
    var asked: [Int] = []
    var settled: [Settlement] = []
    for _ in 0..<100 {
      switch state.next(now: now, rings: 0).action {
      case .settle(let settlements, let request):
        settled += settlements
        state.settled(settlements, settlements.map { _ in .settled() })
        guard let request else { continue }
        asked.append(request.limit)
        let got = jobs(min(supply, request.limit))
        supply -= got.count
        state.claimed(Claim(jobs: got), by: request, asked: now, now: now)
      case .wait(let until): return (asked, settled, until)
      case .finish: return (asked, settled, nil)
      case .checkForRemainingJobs: state.source.rest([])
      case .renew(let leases, let length): _ = state.extended(leases, leases, by: length, asked: now)
      case .listen, .stopListening, .checkForCancelledJobs, .reportLost, .reportStuck, .setFailureRoutes,
        .pruneLogs:
        continue
      }
    }
    Issue.record("it does not come to rest")
    return (asked, settled, nil)
  }

  /// What a caller gives need not be a time that comes.
  @Test mutating func timesBeyondAllTimeAreHeldThere() {
    var policy = JobPolicy(leaseDuration: .seconds(Int64.max))
    policy.timeLimit = .seconds(Int64.max)
    state = Self.state(policy: policy) { options in
      options.shutdownGracePeriod = .seconds(Int64.max)
      options.cancellationGracePeriod = .seconds(Int64.max)
      options.pollInterval = .seconds(Int64.max)
    }
    var supply = 2
    _ = settle(now: 1_000, supply: &supply)
    let slot = openSlot()
    let begins = state.run(slot, now: 1_000) != nil
    #expect(begins)
    state.claimed(
      Claim(timeUntilNextDue: .microseconds(Int64.max - 1)), by: ClaimRequest([], limit: 1), asked: 1_000,
      now: 1_000)
    state.stop(now: 1_000)
    #expect(state.phase.end == .max)
  }

  private mutating func expectRest(now: Int64, until: Int64, _ supply: inout Int) {
    let rest = settle(now: now, supply: &supply)
    #expect(rest.waitsUntil == until)
  }

  private mutating func openSlot() -> Int {
    let slot = state.openSlot()
    #expect(slot != nil)
    return slot ?? 0
  }

  /// Runs all that is held, each taking `took` microseconds.
  private mutating func runAll(_ slot: Int, now: inout Int64, took: Int64) -> Int {
    var ran = 0
    while state.run(slot, now: now) != nil {
      now += took
      let goesOn = state.ended(slot, .completed(), took: took, now: now, recording: false)
      #expect(goesOn)
      ran += 1
    }
    return ran
  }

  @Test mutating func theFirstClaimIsAsLargeAsTheConcurrency() {
    var supply = 1000
    let asked = settle(now: 0, supply: &supply).asked
    #expect(asked == [2])
  }

  @Test mutating func quickJobsAreClaimedAheadMoreAndMore() {
    var supply = 1_000_000
    var now: Int64 = 0
    var asked = settle(now: now, supply: &supply).asked
    let slot = openSlot()
    for _ in 0..<12 {
      _ = runAll(slot, now: &now, took: 10)
      asked += settle(now: now, supply: &supply).asked
    }
    #expect(Array(asked.prefix(5)) == [2, 4, 8, 16, 32])
    // Two at once at 10 microseconds each: 4,000 would fill the horizon, 1,000 is the most that is claimed ahead.
    #expect(asked.last == 1002)
  }

  /// Nor does a claim that asked for little, as much was buffered or the last job still ran, make the next ones small.
  @Test("If jobs end while the database answers, the prefetch grows", arguments: [1, 8])
  mutating func prefetchGrowsForQuickJobs(
    left: Int
  ) {
    state = Self.state(concurrency: 1)
    var supply = 1_000_000
    _ = settle(now: 0, supply: &supply)
    let slot = openSlot()
    var (now, most): (Int64, Int) = (0, 0)
    for _ in 0..<30 {
      // All but so many have ended, of which one runs.
      while state.run(slot, now: now) != nil, state.source.buffer.count >= left {
        now += 2
        _ = state.ended(slot, .completed(), took: 2, now: now, recording: false)
      }
      // At the latest, what has finished is settled some time after.
      now += 10_000
      guard case .settle(let settlements, let request?) = state.next(now: now, rings: 0).action else {
        _ = state.ended(slot, .completed(), took: 2, now: now, recording: false)
        continue
      }
      most = max(most, request.limit)
      now += 2
      _ = state.ended(slot, .completed(), took: 2, now: now, recording: false)
      while state.run(slot, now: now) != nil {
        _ = state.ended(slot, .completed(), took: 2, now: now, recording: false)
      }
      state.settled(settlements, settlements.map { _ in .settled() })
      state.claimed(Claim(jobs: jobs(request.limit)), by: request, asked: now - 2, now: now)
    }
    #expect(most >= 500)
  }

  @Test mutating func slowJobsAreNotClaimedAhead() {
    var supply = 1000
    var now: Int64 = 0
    _ = settle(now: now, supply: &supply)
    let slot = openSlot()
    let ran = runAll(slot, now: &now, took: 1_000_000)
    let asked = settle(now: now, supply: &supply).asked
    #expect(ran == 2 && asked == [2])
  }

  @Test mutating func whatWasClaimedAheadAndGetsNoTurnIsGivenBack() {
    state = Self.state(concurrency: 1)
    var supply = 1000
    var now: Int64 = 0
    _ = settle(now: now, supply: &supply)
    let slot = openSlot()
    for _ in 0..<5 {
      _ = runAll(slot, now: &now, took: 100)
      _ = settle(now: now, supply: &supply)
    }
    _ = state.run(slot, now: now)
    let before = settle(now: now + 249_999, supply: &supply)
    #expect(before.settled.isEmpty && before.waitsUntil == now + 250_000)
    let after = settle(now: now + 250_000, supply: &supply)
    #expect(after.settled.count > 10 && after.asked.isEmpty)
    #expect(after.settled.allSatisfy { if case .released = $0.outcome { true } else { false } })
  }

  @Test mutating func aTaskThatIsAboutToAskForAJobKeepsItsPlace() {
    state = Self.state(concurrency: 1)
    var supply = 1
    _ = settle(now: 0, supply: &supply)
    let slot = openSlot()
    var now: Int64 = 0
    _ = runAll(slot, now: &now, took: 10)
    supply = 1
    _ = settle(now: 100, supply: &supply)
    let other = state.openSlot()
    let job = state.run(slot, now: 100)
    #expect(other == nil && job != nil)
  }

  @Test("Finished jobs are settled together while there are jobs to run")
  mutating func finishedJobsAreSettledTogether() {
    state = Self.state(concurrency: 1)
    var supply = 1_000
    var now: Int64 = 0
    _ = settle(now: now, supply: &supply)
    let slot = openSlot()
    for _ in 0..<8 {
      _ = runAll(slot, now: &now, took: 10)
      _ = settle(now: now, supply: &supply)
    }
    let first = state.run(slot, now: now)
    _ = state.ended(slot, .completed(), took: 10, now: now, recording: false)
    let begun = now
    let rest = settle(now: begun + 1_999, supply: &supply)
    #expect(first != nil && rest.settled.isEmpty && rest.waitsUntil == begun + 2_000)
    let due = settle(now: begun + 2_000, supply: &supply).settled
    #expect(due.count == 1)
  }

  @Test mutating func anotherClaimComesWhenHalfOfTheLastHasBegun() {
    state = Self.state(concurrency: 1)
    var supply = 1_000
    var now: Int64 = 0
    _ = settle(now: now, supply: &supply)
    let slot = openSlot()
    for _ in 0..<6 {
      _ = runAll(slot, now: &now, took: 10)
      _ = settle(now: now, supply: &supply)
    }
    let held = state.source.buffer.count
    var begun = 0
    while settle(now: now, supply: &supply).asked.isEmpty, begun < held {
      _ = state.run(slot, now: now)
      _ = state.ended(slot, .completed(), took: 10, now: now, recording: false)
      begun += 1
    }
    #expect(held > 30 && begun == held - held / 2)
  }

  /// Where asking takes longer than what is left takes to run, it is asked for when nothing is left: half as often.
  @Test(arguments: [1, 100] as [Int64]) mutating func theQuickRestOfABatchIsSettledAlong(took: Int64) {
    state = Self.state(concurrency: 1)
    let request = ClaimRequest([.init("a")], limit: 100)
    // It is answered 5 ms after it was asked for; what is left at half takes 50 microseconds to run, or 5 ms.
    state.source.wake.shouldClaim = true
    state.claimed(Claim(jobs: jobs(100)), by: request, asked: 0, now: 5_000)
    let slot = openSlot()
    let last = took == 1 ? 100 : 50
    var now: Int64 = 5_000
    for run in 1...last {
      let begins = state.run(slot, now: now) != nil
      now += took
      let goesOn = state.ended(slot, .completed(), took: took, now: now, recording: false)
      #expect(begins && goesOn)
      #expect(state.source.isRefillDue(now) == (run == last), "after \(run)")
      #expect(state.source.settlesAt(now) > now)
    }
  }

  @Test("A very slow claim does not keep finished jobs from being settled")
  mutating func slowClaimDoesNotDelayFinishedJobs() {
    state = Self.state(concurrency: 1)
    state.source.wake.shouldClaim = true
    state.claimed(
      Claim(jobs: jobs(100)), by: ClaimRequest([.init("a")], limit: 100), asked: 0, now: 30_000_000)
    let slot = openSlot()
    let begins = state.run(slot, now: 30_000_000) != nil
    let goesOn = state.ended(slot, .completed(), took: 2_000, now: 30_002_000, recording: false)
    #expect(begins && goesOn && state.isSettleDue(30_004_000), "the rest takes 200 ms")
  }

  @Test mutating func oneInterruptedRunOfManyDoesNotMakeThemSlow() {
    state = Self.state(concurrency: 1)
    var supply = 1_000_000
    var now: Int64 = 0
    _ = settle(now: now, supply: &supply)
    let slot = openSlot()
    for _ in 0..<12 {
      _ = runAll(slot, now: &now, took: 2)
      _ = settle(now: now, supply: &supply)
    }
    _ = state.run(slot, now: now)
    _ = state.ended(slot, .completed(), took: 2_000, now: now, recording: false)
    let quick = state.source.ahead
    _ = state.run(slot, now: now)
    _ = state.ended(slot, .completed(), took: 1_000_000, now: now, recording: false)
    #expect(quick == 1_000 && state.source.ahead <= 2)
  }

  @Test("claims fewer jobs ahead when their payloads are large") mutating func bytesAhead() {
    state = Self.state { $0.maxPrefetchBytes = 1000 }
    func claim(_ bytes: Int) -> Claim {
      Claim(jobs: [
        ClaimedJob(
          lease: Lease(job: 1, token: 1, holder: 1, expiresAt: 0), kind: "a",
          payload: Payload([UInt8](repeating: 0, count: bytes)), priority: 0,
          uniqueKey: nil, attempt: 1, enqueuedAt: Timestamp(microseconds: 0),
          dueAt: Timestamp(microseconds: 0))
      ])
    }
    state.source.prefetch.averageRun = 1
    state.source.prefetch.last = 10_000
    #expect(state.source.ahead == 1000, "nothing is known of them: one byte each")
    for (bytes, ahead) in [(100, 10...10), (2000, 0...0), (0, 0...0)] {
      state.claimed(claim(bytes), by: ClaimRequest([], limit: 1), asked: 0, now: 0)
      state.source.prefetch.last = 10_000
      #expect(ahead.contains(state.source.ahead), "\(bytes) bytes")
    }
    for _ in 0..<100 { state.claimed(claim(10), by: ClaimRequest([], limit: 1), asked: 0, now: 0) }
    state.source.prefetch.last = 10_000
    #expect((90...100).contains(state.source.ahead), "smaller ones are believed after a while")
  }

  @Test mutating func leasesAreRenewedAtAThirdOfTheirTime() {
    var supply = 2
    let rest = settle(now: 0, supply: &supply)
    #expect(rest.waitsUntil == min(250_000, 20_000_000))
    _ = state.openSlot().map { state.run($0, now: 0) }
    _ = state.openSlot().map { state.run($0, now: 0) }
    expectRest(now: 0, until: 20_000_000, &supply)
    guard case .renew(let leases, let length) = state.next(now: 20_000_000, rings: 0).action else {
      Issue.record("no renewal")
      return
    }
    #expect(leases.map(\.job) == [1, 2] && length == .seconds(60))
    let lost = state.extended(leases, leases, by: length, asked: 20_000_000).lost
    #expect(lost.isEmpty)
    expectRest(now: 20_000_000, until: 40_000_000, &supply)
  }

  @Test mutating func aStoppedWorkerGoesThroughItsGraces() {
    var supply = 2
    _ = settle(now: 0, supply: &supply)
    let slot = openSlot()
    _ = state.run(slot, now: 0)
    state.stop(now: 1_000_000)
    let drained = settle(now: 1_000_000, supply: &supply)
    #expect(drained.settled.map(\.lease.job) == [2], "what has not begun goes back at once")
    #expect(drained.waitsUntil == 11_000_000)
    let begun = state.run(slot, now: 1_000_000)
    let cancelled = state.next(now: 11_000_000, rings: 0).cancelled
    #expect(begun == nil && cancelled == [slot])
    #expect(state.slots.stop(of: slot) == .shutdown)
    expectRest(now: 11_000_000, until: 16_000_000, &supply)
    let end = settle(now: 16_000_000, supply: &supply)
    #expect(end.settled.map(\.lease.job) == [1] && end.waitsUntil == nil)
  }

  @Test mutating func aRunThatEndsAfterItWasGivenUpChangesNothing() {
    var policy = JobPolicy()
    policy.timeLimit = .seconds(1)
    state = Self.state(policy: policy)
    var supply = 1
    _ = settle(now: 0, supply: &supply)
    let slot = openSlot()
    _ = state.run(slot, now: 0)
    let cancelled = state.next(now: 1_000_000, rings: 0).cancelled
    #expect(cancelled == [slot])
    let given = settle(now: 6_000_000, supply: &supply)
    #expect(given.settled.count == 1 && state.source.summary.failed == 1)
    let goesOn = state.ended(slot, .completed(), took: 9_000_000, now: 9_000_000, recording: false)
    let late = settle(now: 9_000_000, supply: &supply).settled
    #expect(!goesOn && late.isEmpty)
    #expect(state.source.summary.completed == 0 && state.source.summary.failed == 1)
  }

  @Test mutating func troubleIsRetriedWithLongerAndLongerPauses() {
    var pauses: [Int64] = []
    var now: Int64 = 0
    for _ in 0..<9 {
      guard case .settle = state.next(now: now, rings: 0).action else {
        Issue.record("it does not try again"); return
      }
      let givesUp = state.failed([], now: now)
      #expect(!givesUp, "work() has patience for ever")
      guard case .wait(let until) = state.next(now: now, rings: 0).action else {
        Issue.record("it does not wait"); return
      }
      pauses.append((until - now) / 1000)
      now = until
    }
    #expect(pauses == [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
  }

  @Test("Leases are renewed even while outcomes cannot be written")
  mutating func leasesAreRenewedDuringAnOutage() {
    var supply = 2
    _ = settle(now: 0, supply: &supply)
    let (first, second) = (openSlot(), state.openSlot() ?? 0)
    _ = state.run(first, now: 0)
    _ = state.run(second, now: 0)
    _ = state.ended(first, .completed(), took: 1, now: 1, recording: false)
    guard case .settle(let settlements, _) = state.next(now: 19_999_000, rings: 0).action else {
      Issue.record("no settle"); return
    }
    _ = state.failed(settlements, now: 19_999_000)
    guard case .wait(until: 20_000_000) = state.next(now: 19_999_000, rings: 0).action else {
      Issue.record("no wait"); return
    }
    guard case .renew(let leases, let length) = state.next(now: 20_000_000, rings: 0).action else {
      Issue.record("no renewal"); return
    }
    _ = state.extended(leases, leases, by: length, asked: 20_000_000)
    // The renewal that went well does not bring the next try forward.
    guard case .wait(until: 20_049_000) = state.next(now: 20_000_000, rings: 0).action else {
      Issue.record("no wait"); return
    }
    guard case .settle = state.next(now: 20_049_000, rings: 0).action else {
      Issue.record("no new try"); return
    }
  }

  @Test mutating func aRingDuringAClaimIsNotMissed() {
    guard case .settle(_, let request?) = state.next(now: 0, rings: 7).action else {
      Issue.record("no claim"); return
    }
    state.settled([], [])
    state.claimed(Claim(), by: request, asked: 0, now: 0)
    guard case .settle(_, .some) = state.next(now: 0, rings: 8).action else { Issue.record("missed"); return }
  }

  /// The name of the next action.
  private mutating func action(now: Int64, rings: UInt64) -> String {
    switch state.next(now: now, rings: rings).action {
    case .settle: "settle"
    case .setFailureRoutes: "route"
    case .renew: "renew"
    case .reportLost: "report"
    case .reportStuck: "stuck"
    case .checkForRemainingJobs: "count"
    case .checkForCancelledJobs: "check"
    case .pruneLogs: "prune"
    case .listen: "listen"
    case .stopListening: "stop"
    case .wait(let until): "wait \(until)"
    case .finish: "finish"
    }
  }

  @Test("a full worker listens for cancels only after a pause, and not to every ring")
  mutating func listensWhileFull() throws {
    state = Self.state(concurrency: 1)
    state.source.settings.canBeCancelled = true
    guard case .settle(_, let request?) = state.next(now: 0, rings: 0).action else { throw Unexpected() }
    state.settled([], [])
    state.claimed(Claim(jobs: jobs(1)), by: request, asked: 0, now: 0)
    guard let slot = state.openSlot(), state.run(slot, now: 0) != nil else { throw Unexpected() }
    // A short run costs nothing.
    var actions = [action(now: 50_000, rings: 5)]
    // What came before it listened may have been a cancel.
    for _ in 0..<3 { actions.append(action(now: 100_000, rings: 5)) }
    #expect(actions == ["wait 100000", "listen", "check", "wait 20000000"])
    // A ring is looked after at once, the next ones after a pause.
    actions = [
      action(now: 200_000, rings: 6), action(now: 200_000, rings: 7), action(now: 210_000, rings: 9),
    ]
    for _ in 0..<2 { actions.append(action(now: 300_000, rings: 9)) }
    #expect(actions == ["check", "stop", "wait 300000", "listen", "check"])
    let cancelled = [state.cancel([7], now: 300_000), state.cancel([1], now: 300_000)]
    #expect(cancelled == [[], [slot]])
    #expect(state.slots.stop(of: slot) == .cancelled)
    // A run that ignores it is given up after the grace period.
    actions = [action(now: 300_000, rings: 9)]
    #expect(actions == ["wait 5300000"])
    guard case .settle(let settlements, _) = state.next(now: 5_300_000, rings: 9).action else {
      throw Unexpected()
    }
    #expect(settlements.map(\.lease.job) == [1])
    #expect(state.slots.stop(of: slot) == .givenUp)
  }

  @Test("the worker ends when runs that ignore their cancellation hold as many slots as allowed")
  mutating func stuckSlots() throws {
    for most in [nil, 1, 2] as [Int?] {
      state = Self.state(concurrency: 3, policy: JobPolicy(timeLimit: .seconds(1))) {
        $0.maxStuckSlots = most
      }
      var supply = 3
      _ = settle(now: 0, supply: &supply)
      var slots: [Int] = []
      for index in 0..<3 {
        slots.append(openSlot())
        let begins = state.run(slots[index], now: Int64(index) * 1_000_000) != nil
        #expect(begins)
      }
      // One after the other reaches its limit of 1 s, and 5 s later the worker no longer waits for it.
      _ = settle(now: 2_000_000, supply: &supply)
      let first = settle(now: 7_000_000, supply: &supply)
      #expect(state.slots.abandoned == 2 && first.settled.count == 2)
      #expect(state.isStuck == (most != nil))
      #expect((state.phase == .working) == (most == nil))
      // What still runs has the grace period, then the work ends although the slots are held.
      let goesOn = state.ended(slots[2], .completed(), took: 1, now: 7_000_001, recording: false)
      #expect(!goesOn, "it was cancelled, too")
      let rest = settle(now: 7_000_002, supply: &supply)
      #expect((rest.waitsUntil == nil) == (most != nil))
    }
  }

  @Test("a worker that ends already does not end because of its slots") mutating func stuckSlotsAtTheEnd()
    throws
  {
    state = Self.state(concurrency: 1) { $0.maxStuckSlots = 1 }
    var supply = 1
    _ = settle(now: 0, supply: &supply)
    let begins = state.run(openSlot(), now: 0) != nil
    #expect(begins)
    state.stop(now: 0)
    _ = settle(now: 10_000_000, supply: &supply)
    let rest = settle(now: 15_000_000, supply: &supply)
    #expect(rest.waitsUntil == nil && state.slots.abandoned == 1 && !state.isStuck)
  }

  @Test("keeps what hooks need of a run only if a hook names the point", arguments: [true, false])
  mutating func runsForHooks(isNamed: Bool) throws {
    #expect(
      (EngineHooks(Settled()).didSettle != nil, EngineHooks(NoHooks()).didSettle != nil) == (true, false))
    state.source.rules.reportsRuns = isNamed
    var supply = 2
    _ = settle(now: 0, supply: &supply)
    let slot = openSlot()
    guard state.run(slot, now: 0) != nil else { throw Unexpected() }
    _ = state.ended(slot, .completed(), took: 7, now: 7, recording: false)
    // The second job is released without a run.
    state.stop(now: 7)
    guard case .settle(let settlements, nil) = state.next(now: 7, rings: 0).action else { throw Unexpected() }
    let durations = isNamed ? [Duration.microseconds(7), nil] : [nil, nil]
    #expect(settlements.map { $0.run?.duration } == durations)
    // What is not written is kept with its run.
    _ = state.failed(settlements, now: 7)
    guard case .settle(let again, nil) = state.next(now: 1_000_000, rings: 0).action else {
      throw Unexpected()
    }
    #expect(again.map { $0.run?.duration } == durations)
  }

  @Test(
    "reports a run that lost its lease, also one that ignores its cancellation", arguments: [true, false])
  mutating func lostRuns(isNamed: Bool) throws {
    state = Self.state(concurrency: 1) { $0.shutdownGracePeriod = .zero }
    state.source.rules.reportsRuns = isNamed
    for ignores in [false, true] {
      var supply = 1
      state.source.wake.shouldClaim = true
      _ = settle(now: 0, supply: &supply)
      let slot = openSlot()
      guard let job = state.run(slot, now: 0) else { throw Unexpected() }
      let lost = state.extended([job.lease], [nil], by: .seconds(60), asked: 0)
      #expect(lost.cancelled == [slot])
      if ignores {
        state.stop(now: 0)
        _ = state.next(now: 0, rings: 0)
      } else {
        _ = state.ended(slot, .released, took: 1, now: 1, recording: false)
      }
      guard case .reportLost(let runs) = state.next(now: ignores ? 5_000_000 : 1, rings: 0).action else {
        #expect(!isNamed)
        continue
      }
      #expect(isNamed && runs.map(\.lease) == [job.lease])
      #expect(runs.first?.run?.duration == .microseconds(ignores ? 5_000_000 : 1))
    }
    #expect(action(now: 5_000_000, rings: 0) == "finish")
  }

  @Test("prefetches no more jobs of a kind than may be running")
  mutating func maxRunning() throws {
    state = Self.state(concurrency: 3, policy: JobPolicy(maxRunning: 8))
    // Quick jobs.
    state.source.prefetch.averageRun = 1
    (state.source.prefetch.last, state.source.prefetch.requested) = (100, 100)
    let request = try #require(state.nextClaim())
    #expect(request.limit > 8)
    #expect(request.demands.map(\.limit) == [8] && request.demands.map(\.maxRunning) == [8])
    state.claimed(Claim(jobs: jobs(6)), by: request, asked: 0, now: 0)
    #expect(state.nextClaim()?.demands.map(\.limit) == [2])
    state.claimed(Claim(jobs: jobs(2)), by: request, asked: 0, now: 0)
    #expect(state.nextClaim() == nil)
  }

  @Test("of both limits of a kind the smaller one counts", arguments: [(2, 9), (9, 2)])
  mutating func bothLimits(concurrency: Int, running: Int) {
    state = Self.state(concurrency: 5, policy: JobPolicy(maxConcurrency: concurrency, maxRunning: running))
    #expect(state.nextClaim()?.demands.map(\.limit) == [2])
  }

  @Test("does not claim again and again while others run as many jobs of a kind as may")
  mutating func othersRunAll() {
    state = Self.state(.untilEmpty(skipDelayed: false), policy: JobPolicy(maxRunning: 2))
    state.source.wake.shouldClaim = false
    state.source.rest([JobCount("a", ready: 5, running: 2)])
    #expect(!state.source.wake.shouldClaim && state.source.wake.remainingConfirmed)
    state.source.rest([JobCount("a", ready: 5, running: 1)])
    #expect(state.source.wake.shouldClaim)
  }

  @Test("prefetches nothing, not of other kinds either, if a kind has a rate")
  mutating func rate() throws {
    let rate = RateLimit(100, per: .seconds(1))
    state = Self.state(concurrency: 3, policy: JobPolicy(rate: rate))
    // Quick jobs.
    state.source.prefetch.averageRun = 1
    (state.source.prefetch.last, state.source.prefetch.requested) = (100, 100)
    let request = try #require(state.nextClaim())
    #expect(
      request.limit == 3 && request.demands.map(\.limit) == [nil] && request.demands.map(\.rate) == [rate])
    state.claimed(Claim(jobs: jobs(2)), by: request, asked: 0, now: 0)
    #expect(state.nextClaim()?.limit == 1)
    state.claimed(Claim(jobs: jobs(1)), by: request, asked: 0, now: 0)
    #expect(state.nextClaim() == nil)
  }

  @Test("a claimed job that did not begin is released as such")
  mutating func unbegun() throws {
    state = Self.state(concurrency: 3, policy: JobPolicy(rate: RateLimit(9, per: .seconds(1))))
    let request = try #require(state.nextClaim())
    state.claimed(Claim(jobs: jobs(2)), by: request, asked: 0, now: 0)
    state.giveBackBuffered()
    #expect(state.source.finished.all.map(\.hasBegun) == [false, false])
    // Without a rate there is nothing to give back.
    state = Self.state(concurrency: 3, policy: JobPolicy())
    state.claimed(Claim(jobs: jobs(2)), by: request, asked: 0, now: 0)
    state.giveBackBuffered()
    #expect(state.source.finished.all.map(\.hasBegun) == [true, true])
  }

  @Test("does not claim again and again while a rate holds up a kind")
  mutating func rateHoldsUp() {
    state = Self.state(
      .untilEmpty(skipDelayed: false), policy: JobPolicy(rate: RateLimit(1, per: .seconds(60))))
    state.source.wake.shouldClaim = false
    state.source.rest([JobCount("a", ready: 5)])
    #expect(!state.source.wake.shouldClaim && state.source.wake.remainingConfirmed)
  }

  private struct Settled: Hook {
    static let points: HookPoints = .didSettle
  }
  private struct Unexpected: Error {}
}

/// The calls of the only pump of a scheduler with one source.
extension Scheduler {
  fileprivate var source: Source {
    get { sources[0] }
    set { sources[0] = newValue }
  }
  private var share: Share { share(of: 0, now: 0) }

  fileprivate mutating func next(now: Int64, rings: UInt64) -> (action: Action, cancelled: [Int]) {
    sources[0].availability = .open
    return next(0, now: now) { _ in rings }
  }
  fileprivate func nextClaim() -> ClaimRequest? { source.nextClaim(share, kinds, phase) }
  fileprivate func isSettleDue(_ now: Int64) -> Bool {
    source.isSettleDue(now, phase, isCrowdedOut: isCrowdedOut(0, now: now))
  }
  fileprivate mutating func claimed(_ claim: Claim, by request: ClaimRequest, asked: Int64, now: Int64) {
    _ = claimed(0, claim, by: request, asked: asked, now: now)
  }
  fileprivate mutating func settled(_ settlements: [Settlement], _ results: [SettleResult]) {
    settled(0, settlements, results)
  }
  fileprivate mutating func failed(_ settlements: [Settlement], now: Int64) -> Bool {
    failed(0, settlements, now: now)
  }
  fileprivate mutating func extended(_ old: [Lease], _ new: [Lease?], by length: Duration, asked: Int64) -> (
    lost: [ClaimedJob], cancelled: [Int]
  ) {
    extended(0, old, new, by: length, asked: asked)
  }
  fileprivate mutating func cancel(_ jobs: [Int64], now: Int64) -> [Int] { cancel(0, jobs, now: now) }
  fileprivate mutating func giveBackBuffered() { sources[0].giveBackBuffered(&kinds) }
  fileprivate mutating func run(_ slot: Int, now: Int64) -> ClaimedJob? { begin(slot, now: now)?.job }
  /// Returns whether the slot's task goes on.
  fileprivate mutating func ended(
    _ slot: Int, _ outcome: Settlement.Outcome, took: Int64, now: Int64, recording: Bool
  ) -> Bool {
    end(slot, outcome, took: took, now: now, recording: recording)?.goesOn ?? false
  }
}
