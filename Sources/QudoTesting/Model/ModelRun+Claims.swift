internal import Qudo

extension ModelRun {
  static let kinds = ["a", "b", "c", "d", "e", "f", "g", "h", "composed", "decomposed"]

  func addWant() {
    let kind = kind(self["kind"])
    // A claim names each kind once.
    guard !wants.contains(where: { $0.kind == kind }) else { return }
    wants.append(
      .init(
        kind, leaseDuration: duration(self["lease"]), maxExpiredLeases: number("lost"),
        limit: Int(self["limit"])))
  }

  /// Gives the preceding `want` steps a maximum of running jobs.
  func limitWants() {
    for index in self["wants"] == "all" ? wants.indices : wants.indices.suffix(1) {
      wants[index].maxRunning = number("running")
    }
  }

  /// Gives the preceding `want` steps a rate.
  func rateWants() {
    for index in self["wants"] == "all" ? wants.indices : wants.indices.suffix(1) {
      wants[index].rate = rateLimit(self["of"])
    }
  }

  func throttle(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.rateLimits) else { return }
    let (kind, rate, duration) = (kind(self["kind"]), rateLimit(self["of"]), duration(self["for"]))
    let control = try driver.control()
    _ = try await both(
      { try await control.throttle(kind, rate, for: duration) },
      { try await model.throttle(kind, rate, for: duration) })
  }

  /// - Parameter text: The number of jobs, the period and the burst, such as `2/1s/5`.
  func rateLimit(_ text: String) -> RateLimit {
    let parts = text.split(separator: "/").map(String.init)
    guard parts.count == 3 else { return RateLimit(1, per: .seconds(1)) }
    return RateLimit(Int(parts[0]) ?? 1, per: duration(parts[1]), burst: Int(parts[2]))
  }

  func claim(_ driver: any LogDriver) async throws {
    let request = takeRequest()
    guard let (found, expected) = try await both(driver, { try await $0.claim(request) }) else { return }
    try await meetJobsOfFailures(driver)
    try match(found, expected)
  }

  /// Returns a claim for the kinds of the preceding `want` steps, or else for the kinds that this step names.
  func takeRequest() -> ClaimRequest {
    defer { wants = [] }
    if !wants.isEmpty { return ClaimRequest(wants, limit: number("limit")) }
    return ClaimRequest(demands(self["kinds"]), limit: number("limit"))
  }

  /// Returns the same array each time, as a worker does, since drivers may cache by it.
  private func demands(_ names: String) -> [ClaimRequest.KindDemand] {
    if let known = demands[names] { return known }
    let kinds = names.isEmpty || names == "all" ? Self.kinds : names.split(separator: "+").map(String.init)
    let made = kinds.map { ClaimRequest.KindDemand(kind($0), leaseDuration: .seconds(20)) }
    demands[names] = made
    return made
  }

  func promote(_ driver: any LogDriver) async throws {
    let limit = number("limit")
    guard let (found, expected) = try await both(driver, { try await $0.promote(limit: limit) }) else {
      return
    }
    try check(found, is: expected, here)
  }

  func extend(_ driver: any LogDriver) async throws {
    let chosen: [Int] =
      switch self["leases"] {
      case "newest": Array(leases.indices.suffix(1))
      case "all": Array(leases.indices)
      case "half": leases.indices.filter { $0 % 2 == 0 }
      default: []
      }
    let some = chosen.map { leases[$0] }
    let duration = duration(self["by"])
    guard
      let (found, expected) = try await both(
        { try await driver.renew(some.map(\.driver), for: duration) },
        { try await model.renew(some.map(\.model), for: duration) })
    else { return }
    try check(found.map { $0 == nil }, is: expected.map { $0 == nil }, here)
    // The old lease values stay valid.
    guard self["keep"] == "new" else { return }
    for (index, pair) in zip(chosen, zip(found, expected)) {
      if let found = pair.0, let expected = pair.1 { leases[index] = (found, expected) }
    }
  }
}
