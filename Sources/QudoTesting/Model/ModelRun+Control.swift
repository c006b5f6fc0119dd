internal import Qudo

extension ModelRun {
  func cancel(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.control) else { return }
    let control = try driver.control()
    let (jobs, translated) = namedJobs
    let reason = reason
    let answers = try await both(
      { try await control.cancel(translated, reason: reason) },
      { try await model.cancel(jobs, reason: reason) })
    if let (found, expected) = answers { try check(found, is: expected, here) }
  }

  /// The jobs that this step names: the model's ids, and the driver's.
  private var namedJobs: (model: [Int64], driver: [Int64]) {
    let jobs: [Int64] =
      switch self["jobs"] {
      case "newest": known.suffix(1)
      case "2nd": Array(known.suffix(2).prefix(1))
      case "oldest": Array(known.prefix(1))
      case "some": known.enumerated().filter { $0.offset % 3 == 0 }.map(\.element).reversed()
      case "twice": known.suffix(2) + known.suffix(2)
      default: [Self.gone] + known.suffix(1)
      }
    return (jobs, jobs.map { ids[$0] ?? Self.gone })
  }

  func change(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.control) else { return }
    let control = try driver.control()
    let (jobs, translated) = namedJobs
    let change = newValues
    let answers = try await both(
      { try await control.change(translated, change) }, { try await model.change(jobs, change) })
    if let (found, expected) = answers { try check(found, is: expected, here) }
  }

  func changeMatching(_ driver: any LogDriver) async throws {
    try await change(driver, JobQuery(kinds: filter, states: states, limit: number("limit")), newValues)
  }

  private func change(_ driver: any LogDriver, _ query: JobQuery, _ change: JobChange) async throws {
    guard driver.capabilities.contains(.control) else { return }
    let control = try driver.control()
    let answers = try await both(
      { try await control.change(matching: query, change) },
      { try await model.change(matching: query, change) })
    guard let (found, expected) = answers else { return }
    try check(found, is: try expected.map { ChangedJob(id: try id($0.id), result: $0.result) }, here)
  }

  /// The change that this step names. It may be empty, which a driver must refuse.
  private var newValues: JobChange {
    func value<Value>(_ name: String, _ value: () -> Value) -> Value? { self[name] == "keep" ? nil : value() }
    return JobChange(
      priority: value("priority") { priority(self["priority"]) }, due: value("due") { due(self["due"]) },
      payload: value("payload") { payload() }, metadata: value("meta") { meta() })
  }

  /// Finds, cancels or changes jobs by what is in them.
  func look(_ driver: any LogDriver) async throws {
    let query = JobQuery(try lookingFilter(), limit: number("limit"))
    switch self["verb"] {
    case "find":
      let answers = try await both(
        { try await driver.jobs(matching: query) }, { try await model.jobs(matching: query) })
      guard let (found, expected) = answers else { return }
      try check(
        found.map { $0.compared(recordsRuns: recordsRuns) }, is: try expected.map { try self.translated($0) },
        here)
    case "cancel": try await cancel(driver, query, reason: nil)
    default: try await change(driver, query, JobChange(priority: 2))
    }
  }

  private func lookingFilter() throws -> JobFilter {
    let now = clock.now().wall
    var filter = JobFilter(kinds: filter, states: states)
    for part in self["at"].split(separator: "+") {
      switch part {
      case "prefix": filter.uniqueKeyPrefix = place % 2 == 0 ? "k" : "\u{E9}"
      case "key": filter.concurrencyKey = place % 3 == 0 ? "k2" : place % 3 == 1 ? "k1" : "\u{E9}"
      case "priority": filter.priority = 0...1
      case "due": filter.dueAt = now.advanced(by: .seconds(-5))..<now.advanced(by: .seconds(5))
      case "meta": filter.metadata = ["step": newestEntry]
      case "enqueued": filter.enqueuedAt = .earliest..<now
      case "payload": filter.payloadContains = Array("1".utf8)
      case let other:
        throw ConformanceFailure(file: #fileID, line: #line, message: "no filter is called \(other)")
      }
    }
    if let age {
      // As `--older-than` of the command.
      let latest = now.advanced(by: .zero - age)
      filter.enqueuedAt = .earliest..<min(filter.enqueuedAt?.upperBound ?? latest, latest)
    }
    return filter
  }

  /// The age that jobs or log rows must have.
  var age: Duration? { self["olderThan"] == "none" ? nil : duration(self["olderThan"]) }

  func recover(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.control) else { return }
    let control = try driver.control()
    let (jobs, translated) = namedJobs
    let answers = try await both(
      { try await control.recover(translated) }, { try await model.recover(jobs) })
    if let (found, expected) = answers { try check(found, is: expected, here) }
  }

  func changeExpiry(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.control) else { return }
    let control = try driver.control()
    let (jobs, translated) = namedJobs
    let change = JobChange(expires: expiry)
    let answers = try await both(
      { try await control.change(translated, change) }, { try await model.change(jobs, change) })
    if let (found, expected) = answers { try check(found, is: expected, here) }
  }

  /// The expiry that this step names.
  var expiry: Expiry {
    switch self["in"] {
    case "never": .never
    case "past": .at(clock.now().wall.advanced(by: .seconds(-1)))
    case "now+9s": .at(clock.now().wall.advanced(by: .seconds(9)))
    default: .after(duration(self["in"]))
    }
  }

  func route(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.control) else { return }
    let control = try driver.control()
    hasRoutes = true
    let route = FailureRoute(kind(self["kind"]), to: self["to"] == "none" ? nil : kind(self["to"]))
    let answers = try await both(
      {
        try await control.setFailureRoutes([route])
        return try await control.failureRoutes()
      },
      {
        try await model.setFailureRoutes([route])
        return try await model.failureRoutes()
      })
    if let (found, expected) = answers { try check(found, is: expected, here) }
  }

  func recoverMatching(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.control) else { return }
    let control = try driver.control()
    let query = JobQuery(kinds: filter, states: states, limit: number("limit"))
    let answers = try await both(
      { try await control.recover(matching: query) }, { try await model.recover(matching: query) })
    guard let (found, expected) = answers else { return }
    try check(found, is: try expected.map { RecoveredJob(id: try id($0.id), result: $0.result) }, here)
  }

  func cancelMatching(_ driver: any LogDriver) async throws {
    try await cancel(driver, JobQuery(kinds: filter, states: states, limit: number("limit")), reason: reason)
  }

  private func cancel(_ driver: any LogDriver, _ query: JobQuery, reason: String?) async throws {
    guard driver.capabilities.contains(.control) else { return }
    let control = try driver.control()
    let answers = try await both(
      { try await control.cancel(matching: query, reason: reason) },
      { try await model.cancel(matching: query, reason: reason) })
    guard let (found, expected) = answers else { return }
    try check(
      found, is: try expected.map { CancelledJob(id: try id($0.id), result: $0.result) }, here)
  }

  func pause(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.control) else { return }
    let control = try driver.control()
    let kinds = self["kinds"] == "everything" ? nil : filter
    let end: Due? =
      switch self["until"] {
      case "never": nil
      case "past": .at(clock.now().wall.advanced(by: .seconds(-1)))
      default: .after(duration(self["until"]))
      }
    let reason = reason
    guard
      try await both(
        { try await control.pause(kinds, until: end, reason: reason) },
        { try await model.pause(kinds, until: end, reason: reason) }) != nil
    else { return }
    try check(try await control.pauses(), is: try await model.pauses(), here)
  }

  func resume(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.control) else { return }
    let control = try driver.control()
    let kinds = filter
    let answers = try await both(
      { try await control.resume(kinds) }, { try await model.resume(kinds) })
    if let (found, expected) = answers { try check(found, is: expected, here) }
  }

  func resumeKeys(_ driver: any LogDriver) async throws {
    guard driver.capabilities.isSuperset(of: [.control, .keyStops]) else { return }
    let control = try driver.control()
    let names = self["keys"] == "all" ? ["k1", "k2", "k3", "\u{E9}", "e\u{301}"] : list("keys")
    let kind = kind(self["kind"])
    let answers = try await both(
      { try await control.resume(keys: names, of: kind) }, { try await model.resume(keys: names, of: kind) })
    guard let (found, expected) = answers else { return }
    try check(
      try found.map { try translated($0, isModel: false) }, is: try expected.map { try translated($0) }, here)
  }

  private func list(_ name: String) -> [String] { self[name].split(separator: "+").map(String.init) }

  private var reason: String? { self["reason"] == "none" ? nil : "step \(place)" }
}
