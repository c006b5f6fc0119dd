internal import Qudo

extension ModelRun {
  func addOutcome() {
    guard let index = leaseIndex() else { return }
    var lease = leases[index]
    if self["token"] == "wrong" { lease = (lease.driver.withWrongToken, lease.model.withWrongToken) }
    let outcome = outcome()
    let recording = self["recording"] == "no" ? nil : duration(self["recording"])
    let hasBegun = self["result"] != "unbegun"
    let settlement = { (lease: Lease) in
      var settlement = Settlement(lease, outcome, recording: recording)
      settlement.hasBegun = hasBegun
      return settlement
    }
    outcomes.append((settlement(lease.driver), settlement(lease.model)))
    // A lease that is kept is stale when used again.
    if self["keep"] == "no", self["token"] == "right" { leases.remove(at: index) }
  }

  private func leaseIndex() -> Int? {
    guard !leases.isEmpty else { return nil }
    switch self["lease"] {
    case "newest": return leases.count - 1
    case "oldest": return 0
    case let place: return max(0, leases.count - (place.first?.wholeNumberValue ?? 1))
    }
  }

  private func outcome() -> Settlement.Outcome {
    let after = duration(self["after"])
    switch self["result"] {
    case "retry": return .retry(after: after, message: "step \(place)")
    case "snoozed": return .snoozed(after)
    case "counted": return .snoozed(after, countsAttempt: true)
    case "failed": return .failed(message: "step \(place)")
    case "aborted": return .aborted(message: "step \(place)")
    case "released", "unbegun": return .released
    case "replaced": return .completed(replacements: takeJobs())
    default: return .completed()
    }
  }

  func settle(_ driver: any LogDriver) async throws {
    let batch = outcomes
    outcomes = []
    try await settle(batch, claiming: self["claims"] == "yes" ? takeRequest() : nil, driver)
  }

  /// Completes many jobs at once.
  func finish(_ driver: any LogDriver) async throws {
    let count = self["leases"] == "all" ? leases.count : min(3, leases.count)
    let batch = leases.suffix(count).map { lease in
      (driver: Settlement(lease.driver, .completed()), model: Settlement(lease.model, .completed()))
    }
    leases.removeLast(count)
    try await settle(batch, claiming: self["claims"] == "yes" ? takeRequest() : nil, driver)
  }

  private func settle(
    _ batch: [(driver: Settlement, model: Settlement)], claiming next: ClaimRequest?, _ driver: any LogDriver
  ) async throws {
    let answers = try await both(
      { try await driver.settle(batch.map(\.driver), claiming: next) },
      { try await model.settle(batch.map(\.model), claiming: next) })
    guard let (found, expected) = answers else { return }
    try check(found.results.count, is: expected.results.count, here)
    for (found, expected) in zip(found.results, expected.results) {
      if case .settled(let found) = found, case .settled(let expected) = expected {
        try match(found, expected)
      } else {
        try check(found, is: expected, here)
      }
    }
    try await meetJobsOfFailures(driver)
    try check(found.claim == nil, is: expected.claim == nil, here)
    if let found = found.claim, let expected = expected.claim { try match(found, expected) }
  }
}

extension Lease {
  fileprivate var withWrongToken: Lease {
    Lease(job: job, token: token ^ 1 << 40, holder: holder, expiresAt: expiresAt)
  }
}
