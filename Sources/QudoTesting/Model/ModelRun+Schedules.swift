internal import Qudo

extension ModelRun {
  /// The names of schedules that this step names.
  private var names: [String] {
    self["name"].split(separator: "+").map { name in
      switch name {
      case "composed": "\u{E9}"
      case "decomposed": "e\u{301}"
      default: String(name)
      }
    }
  }

  /// The next tick that this step names.
  private var nextTick: Timestamp? {
    let now = clock.now().wall
    return switch self["next"] {
    case "none": nil
    case "now": now
    case "past": now.advanced(by: .seconds(-5))
    default: now.advanced(by: duration(self["next"]))
    }
  }

  /// The version that this step names, of a schedule as the model has it.
  private func version(_ stored: StoredSchedule?) -> Int64 {
    switch self["version"] {
    case "new": 0
    case "older": (stored?.version ?? 2) - 1
    default: stored?.version ?? 0
    }
  }

  func storeSchedule(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.schedules) else { return }
    let schedules = try driver.scheduling()
    var new: [(driver: StoredSchedule, model: StoredSchedule)] = []
    for name in names {
      let stored = try await model.schedules([name]).first
      var schedule = StoredSchedule(
        name: name, rule: "step \(place)", kind: kind(self["kind"]), payload: payload(),
        priority: priority(self["priority"]), metadata: meta(), nextTick: nextTick)
      schedule.version = version(stored)
      schedule.skipsOverlap = place % 2 == 0
      schedule.reason = place % 3 == 0 ? "step \(place)" : nil
      (schedule.lastTick, schedule.lastJob) = (stored?.lastTick, stored?.lastJob)
      new.append((try translated(schedule), schedule))
    }
    let answers = try await both(
      { try await schedules.store(new.map(\.driver)) }, { try await model.store(new.map(\.model)) })
    if let (found, expected) = answers { try check(found, is: expected, here) }
    try await compareSchedules(schedules)
  }

  /// Advances schedules. The first of them gets the prepared jobs, and each other one its own job.
  func tick(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.schedules) else { return }
    let schedules = try driver.scheduling()
    var jobs = takeJobs()
    var ticks: [ScheduleTick] = []
    for name in names {
      let stored = try await model.schedules([name]).first
      ticks.append(
        ScheduleTick(
          name: name, version: version(stored), jobs: jobs, tick: place % 4 == 0 ? nil : stored?.nextTick,
          next: nextTick, skipsOverlap: self["overlap"] == "skip"))
      numbered += 1
      jobs = [NewJob("a", payload: Payload("\(numbered)"))]
    }
    let answers = try await both({ try await schedules.advance(ticks) }, { try await model.advance(ticks) })
    if let (found, expected) = answers {
      try check(found.count, is: expected.count, here)
      for (found, expected) in zip(found, expected) { try match(found, expected) }
    }
    try await compareSchedules(schedules)
  }

  private func match(_ found: TickResult, _ expected: TickResult) throws {
    guard case .enqueued(let numbers) = found, case .enqueued(let models) = expected else {
      return try check(found, is: expected, here)
    }
    try check(numbers.count, is: models.count, here)
    for (number, model) in zip(numbers, models) {
      if ids[model] == nil {
        try check(!ids.values.contains(number), "\(here): a new job instead of \(number)")
        meet(model, as: number)
      }
      try check(number, is: try id(model), here)
    }
  }

  func due(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.schedules) else { return }
    let schedules = try driver.scheduling()
    let after = self["after"] == "none" ? nil : self["after"]
    let limit = number("limit")
    let answers = try await both(
      { try await schedules.dueSchedules(after: after, limit: limit) },
      { try await model.dueSchedules(after: after, limit: limit) })
    guard case (let found, var expected)? = answers else { return }
    expected.due = try expected.due.map { try translated($0) }
    try check(found, is: expected, here)
  }

  func unschedule(_ driver: any LogDriver) async throws {
    guard driver.capabilities.contains(.schedules) else { return }
    let schedules = try driver.scheduling()
    let names = names
    let answers = try await both(
      { try await schedules.removeSchedules(names) }, { try await model.removeSchedules(names) })
    if let (found, expected) = answers { try check(found, is: expected, here) }
    try await compareSchedules(schedules)
  }

  private func compareSchedules(_ driver: any ScheduleDriver) async throws {
    let expected = try await model.schedules(nil).map { try translated($0) }
    try check(try await driver.schedules(nil), is: expected, here)
  }

  /// Returns the schedule with the driver's number of its job.
  private func translated(_ schedule: StoredSchedule) throws -> StoredSchedule {
    var schedule = schedule
    schedule.lastJob = try schedule.lastJob.map { try id($0) }
    return schedule
  }
}
