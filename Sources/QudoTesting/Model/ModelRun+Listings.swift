internal import Qudo

extension ModelRun {
  var filter: [Kind]? {
    switch self["kinds"] {
    case "any": nil
    case "all": Self.kinds.map { kind($0) }
    case "unknown": ["unknown"]
    case "none": []
    case let names: names.split(separator: "+").map { kind(String($0)) }
    }
  }

  func find(_ driver: any LogDriver) async throws {
    var query = JobQuery(kinds: filter, states: states, limit: number("limit"))
    switch self["after"] {
    case "oldest": query.after = known.first ?? 0
    case "newest": query.after = known.last ?? 0
    default: break
    }
    query.ids = chosen(known)
    var translated = query
    translated.after = query.after == 0 ? 0 : try id(query.after)
    translated.ids = query.ids.map { $0.map { ids[$0] ?? Self.gone } }
    let answers = try await both(
      { try await driver.jobs(matching: translated) }, { try await model.jobs(matching: query) })
    guard let (found, expected) = answers else { return }
    try check(
      found.map { $0.compared(recordsRuns: recordsRuns) }, is: try expected.map { try self.translated($0) },
      here)
  }

  /// Compares the outcomes of jobs and the holders of unique keys.
  func outcomes(_ driver: any LogDriver) async throws {
    let jobs = chosen(known) ?? known.suffix(5)
    let translated = jobs.map { ids[$0] ?? Self.gone }
    let answers = try await both(
      { try await driver.outcomes(of: translated) }, { try await model.outcomes(of: jobs) })
    guard let (found, expected) = answers else { return }
    try check(found.count, is: expected.count, here)
    for (found, expected) in zip(found, expected) {
      switch (found, expected) {
      case (.unfinished(let job), .unfinished(let model)):
        try check(job.compared(recordsRuns: recordsRuns), is: try self.translated(model), here)
      case (.failed(let row), .failed(let model)):
        try check(row, is: try self.translated(model, like: row), here)
      case (.completed(let row), .completed(let model)):
        try check(row, is: try self.translated(model, like: row), here)
      default: try check(found, is: expected, here)
      }
    }
    let (key, kind) = (key, kind(self["kind"]))
    let holders = try await both(
      { try await driver.job(withUniqueKey: key, kind: kind) },
      { try await model.job(withUniqueKey: key, kind: kind) })
    if let (found, expected) = holders { try check(found, is: try expected.map { try id($0) }, here) }
  }

  var states: Set<JobState>? {
    self["states"] == "any"
      ? nil : Set(self["states"].split(separator: "+").compactMap { JobState(rawValue: String($0)) })
  }

  /// An id that no job and no log row has.
  static let gone: Int64 = 1 << 60

  /// Returns some of these ids, unordered and one of them twice.
  func chosen(_ all: [Int64]) -> [Int64]? {
    switch self["ids"] {
    case "all": all.reversed()
    case "some": all.enumerated().filter { $0.offset % 3 == 0 }.map(\.element) + all.suffix(1) + all.suffix(1)
    case "gone": [Self.gone] + all.prefix(1)
    case "none": []
    default: nil
    }
  }

  func count(_ driver: any LogDriver) async throws {
    let filter = filter
    guard let (found, expected) = try await both(driver, { try await $0.count(filter) }) else { return }
    try check(found.sorted { $0.kind < $1.kind }, is: expected.sorted { $0.kind < $1.kind }, here)
  }

  // MARK: Logs

  private var logQuery: LogQuery {
    LogQuery(
      kinds: filter, oldestFirst: self["order"] == "oldest", limit: number("limit"), offset: number("offset"))
  }

  func failures(_ driver: any LogDriver) async throws {
    let logs = try await Logs(driver, model)
    var query = logQuery
    query.ids = chosen(logs.failures.map(\.model))
    query.failures = failureFilter
    let translated = query.with(logs.failures)
    guard
      let (found, expected) = try await both(
        { try await driver.failures(translated) }, { try await model.failures(query) })
    else { return }
    let rows = try expected.enumerated().map {
      try self.translated($0.element, like: found.dropFirst($0.offset).first)
    }
    try check(found, is: rows, here)
  }

  func statuses(_ driver: any LogDriver) async throws {
    let logs = try await Logs(driver, model)
    var query = logQuery
    query.ids = chosen(logs.statuses.map(\.model))
    let translated = query.with(logs.statuses)
    guard
      let (found, expected) = try await both(
        { try await driver.statuses(translated) }, { try await model.statuses(query) })
    else { return }
    let rows = try expected.enumerated().map {
      try self.translated($0.element, like: found.dropFirst($0.offset).first)
    }
    try check(found, is: rows, here)
  }

  /// Returns the ids of the rows that this step names, and the model's.
  private func failureRows(_ driver: any LogDriver) async throws -> [(driver: Int64, model: Int64)] {
    let all = try await Logs(driver, model).failures
    return
      switch self["rows"]
    {
    case "newest": all.suffix(1)
    case "oldest": Array(all.prefix(1))
    case "all": all
    case "some": all.enumerated().filter { $0.offset % 3 == 0 }.map(\.element)
    case "twice": all.suffix(2) + all.suffix(2)
    case "gone": [(Self.gone, Self.gone)] + all.suffix(1)
    default: []
    }
  }

  private var failureFilter: FailureFilter? {
    let now = clock.now().wall
    return switch self["only"] {
    case "open": FailureFilter(isFinal: true, isReplayed: false)
    case "worded": FailureFilter(reasons: [.failed, .cancelled, .expired], messageContains: "e")
    case "recent": FailureFilter(isResolved: false, failedAt: now.advanced(by: .seconds(-5))..<now)
    default: nil
    }
  }

  /// The new values and the unique key that this step gives to the jobs that it replays.
  private func correction() -> (change: JobChange, unique: UniqueKey?) {
    switch self["with"] {
    case "priority": (JobChange(priority: 2), nil)
    case "due": (JobChange(due: .after(.seconds(5))), nil)
    case "payload": (JobChange(payload: payload()), nil)
    case "key": (JobChange(), UniqueKey("k1"))
    case "all":
      (
        JobChange(
          priority: -1, due: due("now+9s"), payload: payload(), metadata: ["step": "\(place)"],
          expires: .after(.seconds(20))), UniqueKey("k2", scope: .untilStarted)
      )
    default: (JobChange(), nil)
    }
  }

  func replay(_ driver: any LogDriver) async throws {
    let rows = try await failureRows(driver)
    let (change, unique) = correction()
    let answers = try await both(
      { try await driver.replay(rows.map(\.driver), changing: change, unique: unique) },
      { try await model.replay(rows.map(\.model), changing: change, unique: unique) })
    guard let (found, expected) = answers else { return }
    try check(found.count, is: expected.count, here)
    for (found, expected) in zip(found, expected) {
      switch (found, expected) {
      case (.replayed(let found), .replayed(let new)): meet(new, as: found)
      case (.conflict(let found), .conflict(let holder)): try check(found, is: try id(holder), here)
      case (.alreadyReplayed(let found), .alreadyReplayed(let new)): try check(found, is: try id(new), here)
      default: try check(found, is: expected, here)
      }
    }
  }

  func resolve(_ driver: any LogDriver) async throws {
    let rows = try await failureRows(driver)
    let answers = try await both(
      { try await driver.resolve(rows.map(\.driver)) }, { try await model.resolve(rows.map(\.model)) })
    guard let (found, expected) = answers else { return }
    let translated = try expected.map { result -> ResolveResult in
      if case .alreadyReplayed(let job) = result { .alreadyReplayed(try id(job)) } else { result }
    }
    try check(found, is: translated, here)
  }

  func prune(_ driver: any LogDriver) async throws {
    let before = self["before"] == "any" ? nil : clock.now().wall.advanced(by: duration(self["before"]))
    let prune = PruneOptions(
      before: before, olderThan: age, keep: number("keep"), limit: number("limit"))
    guard let (found, expected) = try await both(driver, { try await $0.prune(prune) }) else { return }
    try check(found, is: expected, here)
  }
}

/// The mapping between the rows of the driver's logs and of the model's logs.
private struct Logs {
  let failures: [(driver: Int64, model: Int64)]
  let statuses: [(driver: Int64, model: Int64)]

  init(_ driver: any LogDriver, _ model: MemoryDriver) async throws {
    let all = LogQuery(oldestFirst: true, limit: 100_000)
    failures = zip(try await driver.failures(all).map(\.id), try await model.failures(all).map(\.id)).map {
      ($0, $1)
    }
    statuses = zip(try await driver.statuses(all).map(\.id), try await model.statuses(all).map(\.id)).map {
      ($0, $1)
    }
  }
}

extension LogQuery {
  fileprivate func with(_ rows: [(driver: Int64, model: Int64)]) -> LogQuery {
    var query = self
    let ids = Dictionary(uniqueKeysWithValues: rows.map { ($0.model, $0.driver) })
    query.ids = query.ids.map { $0.map { ids[$0] ?? ModelRun.gone } }
    return query
  }
}
