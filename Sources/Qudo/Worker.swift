/// One kind that a worker performs, and how.
public struct Ability: Sendable {
  public let kind: Kind
  public let policy: JobPolicy
  let perform: @Sendable (ClaimedJob) async throws -> Void

  /// - Parameter perform: returns when the job is completed and throws when it failed. It is cancelled when its lease
  ///   is lost, or when the worker's task is cancelled.
  public init(_ kind: Kind, policy: JobPolicy = JobPolicy(), perform: @escaping @Sendable (ClaimedJob) async throws -> Void) {
    self.kind = kind
    self.policy = policy
    self.perform = perform
  }
}

/// Claims jobs, runs some at once, and settles each.
public struct Worker: Sendable {
  private let driver: any Driver
  private let abilities: [Kind: Ability]
  private let concurrency: Int

  /// - Parameter concurrency: how many jobs run at once. Default 1.
  /// - Throws: ``QudoError/Code/invalidArgument`` without an ability, for two of one kind, or a concurrency under 1.
  public init(_ driver: any Driver, _ abilities: [Ability], concurrency: Int = 1) throws(QudoError) {
    guard !abilities.isEmpty else { throw QudoError(.invalidArgument, "the worker has no abilities: give it a kind to perform") }
    guard concurrency >= 1 else { throw QudoError(.invalidArgument, "the concurrency \(concurrency) is under 1") }
    var byKind: [Kind: Ability] = [:]
    for ability in abilities {
      guard byKind.updateValue(ability, forKey: ability.kind) == nil else {
        throw QudoError(.invalidArgument, "two abilities have the kind \(ability.kind)")
      }
      // A renewal, at a third of the lease, must have time to reach the disk.
      guard ability.policy.lease >= .milliseconds(100) else {
        throw QudoError(.invalidArgument, "the lease of \(ability.kind) is under 100 ms")
      }
    }
    self.driver = driver
    self.abilities = byKind
    self.concurrency = concurrency
  }

  /// Works until no job of its kinds is ready, delayed or running anywhere, or until the task is cancelled; then the
  /// running jobs are cancelled and released.
  ///
  /// - Returns: how many runs were settled.
  /// - Throws: the driver's error. Jobs that then run are cancelled; their leases end by themselves.
  @discardableResult
  public func workUntilEmpty() async throws -> Int {
    try await withThrowingTaskGroup(of: Settlement?.self) { group in
      var settled = 0
      var running = 0
      var claim = try await driver.claim(request(concurrency))
      while true {
        for job in claim.jobs {
          group.addTask { await run(job) }
          running += 1
        }
        if running == 0 {
          guard !Task.isCancelled, try await hasWork() else { return settled }
          try? await Task.sleep(for: pause(claim))  // Cancelled: seen by the guard above.
          if Task.isCancelled { return settled }
          claim = try await driver.claim(request(concurrency))
          continue
        }
        let done = try await group.next() ?? nil
        running -= 1
        let free = Task.isCancelled ? 0 : concurrency - running
        let next = free > 0 ? request(free) : nil
        let settlements = done.map { [$0] } ?? []
        let driver = driver
        // Not undone by a cancelled task: a finished job is settled all the same.
        let answer = try await Task { try await driver.settle(settlements, claiming: next) }.value
        settled += answer.results.count { $0 != .leaseLost }
        claim = answer.claim ?? Claim(jobs: [], nextDue: nil, nextLeaseEnd: nil)
      }
    }
  }

  private func request(_ limit: Int) -> ClaimRequest {
    ClaimRequest(
      abilities.values.map { .init($0.kind, lease: $0.policy.lease, lostLimit: $0.policy.lostLimit) }, limit: limit)
  }

  private func hasWork() async throws(QudoError) -> Bool {
    try await driver.count().contains { abilities[$0.kind] != nil }
  }

  /// Until the next job is due or the next lease ends; at most a second, for what others enqueue meanwhile.
  private func pause(_ claim: Claim) -> Duration {
    let wait = min(claim.nextDue ?? .seconds(1), claim.nextLeaseEnd ?? .seconds(1))
    return min(max(wait, .milliseconds(1)), .seconds(1))
  }

  /// One run from claim to settlement; nil if the lease was lost on the way.
  private func run(_ job: ClaimedJob) async -> Settlement? {
    guard let ability = abilities[job.kind] else { return Settlement(job.lease, .released) }
    return await withTaskGroup(of: Ending.self) { group in
      let lease = HeldLease(job.lease)
      group.addTask { await perform(job, ability) }
      group.addTask { await renew(lease, every: ability.policy.lease) }
      var outcome: Settlement.Outcome?
      while outcome == nil, let ending = await group.next() {
        guard case .performed(let performed) = ending else {
          group.cancelAll()
          continue
        }
        outcome = performed
      }
      group.cancelAll()
      // The renewal under way, if any, has its say first: it changes the lease.
      while await group.next() != nil {}
      guard let outcome, let lease = lease.current.withLock({ $0 }) else { return nil }
      return Settlement(lease, outcome)
    }
  }

  private enum Ending: Sendable {
    case performed(Settlement.Outcome)
    case stoppedRenewing
  }

  private func perform(_ job: ClaimedJob, _ ability: Ability) async -> Ending {
    do {
      try await ability.perform(job)
      return .performed(.completed())
    } catch {
      // A worker that stops gives its jobs back; they did not fail.
      if Task.isCancelled { return .performed(.released) }
      return .performed(decide(failure: error, job: job, policy: ability.policy))
    }
  }

  /// The lease of a run, which renewals change; nil once it is lost.
  private final class HeldLease: Sendable {
    let current: Locked<Lease?>
    init(_ lease: Lease) { current = Locked(lease) }
  }

  /// Until cancelled, or until the lease is lost.
  private func renew(_ lease: HeldLease, every length: Duration) async -> Ending {
    while let current = lease.current.withLock({ $0 }) {
      do {
        try await Task.sleep(for: length / 3)
        let extended = try await driver.extend([current], by: length)
        lease.current.withLock { $0 = extended.first ?? nil }
      } catch {
        if Task.isCancelled { return .stoppedRenewing }
        // The database has trouble. The lease may still be ours: the token decides, when the job is settled.
      }
    }
    return .stoppedRenewing
  }
}
