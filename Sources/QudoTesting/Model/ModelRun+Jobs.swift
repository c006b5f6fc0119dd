internal import Qudo

extension ModelRun {
  func kind(_ name: String) -> Kind {
    switch name {
    case "composed": "\u{E9}"
    case "decomposed": "e\u{301}"
    default: Kind(name)
    }
  }

  /// Parses `5s`, `1us`, `-10s` or `endless`.
  func duration(_ text: String) -> Duration {
    if text == "endless" { return .seconds(Int64.max) }
    if text.hasSuffix("us") { return .microseconds(Int64(text.dropLast(2)) ?? 0) }
    return .seconds(Int64(text.dropLast()) ?? 0)
  }

  func job() -> NewJob {
    NewJob(
      kind(self["kind"]), payload: payload(), unique: unique(), priority: priority(self["priority"]),
      due: due(self["due"]),
      metadata: meta(),
      idempotencyKey: self["once"] == "no" ? nil : keys.key(self["once"], at: clock.now().wall))
  }

  func payload() -> Payload {
    numbered += 1
    switch self["payload"] {
    case "empty": return Payload("")
    case "nul": return Payload([0, 1, 0, 255])
    case "300", "5000":
      return Payload(Array(repeating: UInt8(truncatingIfNeeded: numbered), count: number("payload")))
    case "codec": return Payload(Array("\(numbered)".utf8), codec: .wrapping(.json, as: 200))
    default: return Payload("\(numbered)")
    }
  }

  /// The unique key that this step names.
  var key: String {
    switch self["key"] {
    case "composed": "\u{E9}"
    case "decomposed": "e\u{301}"
    case "long": String(repeating: "k", count: Limits.uniqueKeyBytes)
    default: self["key"]
    }
  }

  private func unique() -> UniqueKey? {
    guard self["key"] != "none" else { return nil }
    let conflicts: [String: UniqueKey.Conflict] = ["reject": .reject, "keep": .keep, "overwrite": .overwrite]
    let scope: UniqueKey.Scope = self["scope"] == "untilStarted" ? .untilStarted : .untilFinished
    return overwritable(
      UniqueKey(key, scope: scope, onConflict: conflicts[self["conflict"]] ?? .reject))
  }

  func priority(_ text: String) -> Int {
    switch text {
    case "lowest": Limits.priorities.lowerBound
    case "highest": Limits.priorities.upperBound
    default: Int(text) ?? 0
    }
  }

  func due(_ text: String) -> Due {
    let now = clock.now().wall
    switch text {
    case "now": return .now
    case "past": return .at(now.advanced(by: .seconds(-5)))
    case "now+0s": return .at(now)
    case "now+9s": return .at(now.advanced(by: .seconds(9)))
    case "earliest": return .at(.earliest)
    case "latest": return .at(.latest)
    default: return .after(duration(text))
    }
  }

  func meta() -> JobMetadata {
    switch self["meta"] {
    case "entry":
      newestEntry = "\(place)"
      return ["step": newestEntry]
    case "bytes": return JobMetadata(bytes: [UInt8(truncatingIfNeeded: place), 0, 7])
    default: return JobMetadata()
    }
  }

  func addCrowd() {
    for index in 0..<number("size") {
      numbered += 1
      jobs.append(
        NewJob(
          kind(self["kind"]), payload: Payload("\(numbered)"),
          priority: self["priority"] == "mixed" ? index % 3 : 0,
          due: due(self["due"])))
    }
  }

  /// Gives the last of the prepared jobs, or all of them, a maximum of waiting jobs.
  func addBound() {
    let bound: MaxWaiting = self["full"] == "drop" ? .dropOldest(number("at")) : .refuse(number("at"))
    let places = self["jobs"] == "all" ? jobs.indices : jobs.indices.suffix(1)
    for index in places { jobs[index].maxWaiting = bound }
  }

  /// Gives the last of the prepared jobs, or all of them, a concurrency key.
  func addConcurrencyKey() {
    guard capabilities.contains(.concurrencyKeys), !areGrouped else { return }
    areKeyed = true
    let names = ["composed": "\u{E9}", "decomposed": "e\u{301}"]
    let key = ConcurrencyKey(names[self["with"]] ?? self["with"], limit: number("most"))
    let places = self["jobs"] == "all" ? jobs.indices : jobs.indices.suffix(1)
    for index in places { jobs[index].concurrencyKey = key }
  }

  /// Lets final failures stop the concurrency keys of the last of the prepared jobs, or of all.
  func stopAfterFailures() {
    guard capabilities.contains(.keyStops) else { return }
    let places = self["jobs"] == "all" ? jobs.indices : jobs.indices.suffix(1)
    for index in places { jobs[index].concurrencyKey?.afterFailure = .stop }
  }

  /// Gives the concurrency keys of the last of the prepared jobs, or of all, a rate or none.
  func addKeyRate() {
    guard capabilities.contains(.keyRates) else { return }
    let rate = self["of"] == "none" ? nil : rateLimit(self["of"])
    let places = self["jobs"] == "all" ? jobs.indices : jobs.indices.suffix(1)
    for index in places where jobs[index].concurrencyKey != nil {
      jobs[index].concurrencyKey?.rate = rate
      areKeysRated = true
    }
  }

  /// Gives the last of the prepared jobs, or all of them, a group.
  func addGroup() {
    guard capabilities.contains(.groups), !areKeyed else { return }
    areGrouped = true
    let names = ["composed": "\u{E9}", "decomposed": "e\u{301}"]
    let places = self["jobs"] == "all" ? jobs.indices : jobs.indices.suffix(1)
    for index in places { jobs[index].group = names[self["with"]] ?? self["with"] }
    for index in jobs.indices { jobs[index].unique = jobs[index].unique.map { overwritable($0) } }
  }

  /// A server gives the jobs that an insert overwrites their places before the new ones. So no job is overwritten where jobs have groups.
  private func overwritable(_ unique: UniqueKey) -> UniqueKey {
    guard areGrouped, capabilities.contains(.remote), unique.onConflict == .overwrite else { return unique }
    var unique = unique
    unique.onConflict = .reject
    return unique
  }

  /// Gives the last of the prepared jobs, or all of them, a bound for the due time of overwrites, unless their delay exceeds it.
  func addMaxDelay() {
    let bound = duration(self["within"])
    let places = self["jobs"] == "all" ? jobs.indices : jobs.indices.suffix(1)
    for index in places {
      if case .after(let delay) = jobs[index].due, delay > bound { continue }
      jobs[index].unique?.maxDelay = bound
    }
  }

  /// Gives the last of the prepared jobs, or all of them, a throttle, unless their keys end with the start.
  func addThrottle() {
    let places = self["jobs"] == "all" ? jobs.indices : jobs.indices.suffix(1)
    for index in places where jobs[index].unique?.scope == .untilFinished {
      let throttle = duration(self["for"])
      rests.add(throttle, at: clock.now().wall)
      jobs[index].unique?.throttle = throttle
    }
  }

  /// Returns an invalid job, for which a driver must reject the whole insert.
  func flawedJob() -> NewJob {
    let tooLong = String(repeating: "x", count: 256)
    switch self["flaw"] {
    case "noKind": return NewJob("")
    case "nulKind": return NewJob("a\0")
    case "longKind": return NewJob(Kind(tooLong))
    case "noKey": return NewJob("a", unique: UniqueKey(""))
    case "nulKey": return NewJob("a", unique: UniqueKey("\0"))
    case "longKey": return NewJob("a", unique: UniqueKey(tooLong))
    case "payload":
      return NewJob("a", payload: Payload(Array(repeating: 0, count: model.limits.payloadBytes + 1)))
    case "priority": return NewJob("a", priority: Limits.priorities.upperBound + 1)
    case "delay": return NewJob("a", due: .after(.microseconds(-1)))
    default: return NewJob("a", due: .at(Timestamp(microseconds: Timestamp.latest.microseconds + 1)))
    }
  }

  /// Inserts the prepared jobs, or one plain job if there are none.
  func insert(_ driver: any LogDriver) async throws {
    if jobs.isEmpty {
      numbered += 1
      jobs = [NewJob("a", payload: Payload("\(numbered)"))]
    }
    let jobs = takeJobs()
    guard let (found, expected) = try await both(driver, { try await $0.insert(jobs) }) else { return }
    try match(found, expected)
  }

  func takeJobs() -> [NewJob] {
    defer { jobs = [] }
    return jobs
  }
}
