internal import Qudo
internal import QudoMonitor

/// Connects the state of `qudo top` with the terminal and the databases.
struct TopLoop {
  let database: Database
  let sampler: QueueSampler
  let interval: Duration
  let attributes: Style.Attributes
  let options: Screen.Options

  /// Runs until the user quits.
  func run() async throws {
    let events = EventQueue()
    let terminal = try Terminal { events.add(.terminal($0)) }
    var state = TopState(size: Terminal.size)
    var sampling = sample(after: .zero, events)
    draw(state, terminal)
    loop: while true {
      var actions: [TopState.Action] = []
      switch await events.next() {
      case .terminal(.closed): break loop
      case .terminal(.key(let key)): actions = state.handle(.key(key))
      case .terminal(.resize(let size)): actions = state.handle(.resize(size))
      case .state(let event):
        actions = state.handle(event)
        if case .sample(let sample) = event {
          sampling = self.sample(after: sample.timeUntilNext(interval), events)
        }
        if case .changed = event {
          // Show the effect of the change at once.
          sampling.cancel()
          sampling = sample(after: .zero, events)
        }
      }
      for action in actions {
        switch action {
        case .quit: break loop
        case .suspend: terminal.suspend()
        case .redraw: terminal.redraw()
        case .load(let request): load(request, events)
        case .perform(let change): perform(change, events)
        }
      }
      state.limitScroll(Screen.mostScroll(state, options))
      draw(state, terminal)
    }
    sampling.cancel()
    await terminal.close()
    // A database that hangs is not waited for.
    if state.sample?.databases.allSatisfy({ $0.error == nil }) == true { await sampler.close() }
  }

  private func draw(_ state: TopState, _ terminal: Terminal) {
    terminal.draw(Screen.lines(state, options).map { $0.terminal(attributes) })
  }

  private func sample(
    after delay: Duration, _ events: EventQueue
  ) -> Task<Void, Never> {
    Task { [sampler] in
      do { try await Task.sleep(for: delay) } catch { return }
      let sample = await sampler.sample()
      if !Task.isCancelled { events.add(.state(.sample(sample))) }
    }
  }

  private func load(_ request: TopState.Request, _ events: EventQueue) {
    Task { [sampler] in
      let result = await TopReading.read(request, sampler)
      events.add(.state(.loaded(request, result)))
    }
  }

  private func perform(_ change: TopState.Change, _ events: EventQueue) {
    Task { [database] in
      let result: Result<String, QudoError>
      do {
        let text = try await database.use(create: false) { databases in
          try await TopReading.perform(change, databases)
        }
        result = .success(text)
      } catch let error as QudoError {
        result = .failure(error)
      } catch {
        result = .failure(QudoError(.database, "\(error)"))
      }
      events.add(.state(.changed(result)))
    }
  }
}

/// The requests of `qudo top` to the databases, other than samples.
enum TopReading {
  static func read(_ request: TopState.Request, _ sampler: QueueSampler) async -> Result<
    TopState.Content, QudoError
  > {
    do throws(QudoError) {
      return .success(try await content(request, sampler))
    } catch {
      return .failure(error)
    }
  }

  private static func content(
    _ request: TopState.Request, _ sampler: QueueSampler
  ) async throws(QudoError) -> TopState.Content {
    switch request {
    case .failures: return .failures(try await failures(sampler))
    case .jobs(let id, let after):
      let query = JobQuery(kinds: [id.value], after: after, limit: TopState.page + 1).withPayloads(
        upTo: CellText.payloadBytes)
      let jobs = try await sampler.read(id.database) { driver throws(QudoError) in
        try await driver.jobs(matching: query)
      }
      return .jobs(jobs)
    case .job(let id):
      let found = try await sampler.read(id.database) { driver throws(QudoError) in
        let outcome = try await driver.outcomes(of: [id.value]).first ?? .neverExisted
        return (outcome, try await driver.failures(LogQuery(limit: 10, job: id.value).withoutPayloads))
      }
      return .job(found.0, found.1)
    case .failure(let id):
      let found = try await sampler.read(id.database) { driver throws(QudoError) in
        try await driver.failures(LogQuery(limit: 1, ids: [id.value])).first
      }
      return .failure(found)
    }
  }

  /// Returns the newest failures of the databases that answer.
  private static func failures(_ sampler: QueueSampler) async throws(QudoError) -> [TopState.FailureRow] {
    typealias Answer = Result<[TopState.FailureRow], QudoError>
    let answers = await withTaskGroup(of: Answer.self) { group in
      for name in sampler.names {
        group.addTask {
          do throws(QudoError) {
            let rows = try await sampler.read(name) { driver throws(QudoError) in
              try await driver.failures(LogQuery(limit: TopState.failureLimit).withoutPayloads)
            }
            return .success(rows.map { TopState.FailureRow(database: name, failure: $0) })
          } catch {
            return .failure(error)
          }
        }
      }
      var answers: [Answer] = []
      for await answer in group { answers.append(answer) }
      return answers
    }
    let rows = answers.compactMap { try? $0.get() }
    if rows.isEmpty, case .failure(let error)? = answers.first { throw error }
    return rows.flatMap(\.self).sorted {
      ($1.failure.failedAt, $1.database, $1.failure.id) < ($0.failure.failedAt, $0.database, $0.failure.id)
    }
  }

  /// Makes a change, and returns what it did.
  static func perform(_ change: TopState.Change, _ databases: Databases) async throws -> String {
    switch change {
    case .pause(let id):
      try await databases.control(in: id.database) { driver throws(QudoError) in
        try await driver.pause([id.value], until: nil, reason: "paused in qudo top")
      }
      return "\(CellText.safe(id.value.name, limit: 60)) is paused"
    case .resume(let id):
      let ended = try await databases.control(in: id.database) { driver throws(QudoError) in
        try await driver.resume([id.value])
      }
      return "\(CellText.safe(id.value.name, limit: 60)) \(ended.isEmpty ? "was not paused" : "is resumed")"
    case .cancel(let id):
      let result = try await databases.control(in: id.database) { driver throws(QudoError) in
        try await driver.cancel([id.value], reason: nil)
      }
      return switch result.first {
      case .cancelled: "job \(id.value) is cancelled"
      case .cancelling: "job \(id.value) runs; its worker was asked to cancel it"
      case .notFound, nil: "job \(id.value) has ended"
      }
    case .replay(let id):
      let result = try await databases.replay([id.value], in: id.database)
      switch result.first {
      case .replayed(let job): return "failure \(id.value) runs again, as job \(job)"
      case let other?: throw QudoError(.invalidArgument, "failure \(id.value) \(other.refusal ?? "stays")")
      case nil: return "nothing was changed"
      }
    }
  }
}
