#if Metrics
internal import Logging
public import Metrics
public import Qudo

/// A plugin that reports, at an interval, how many jobs are in each state and how long the oldest ready job has waited.
///
///     let worker = try Worker(queue, handlers: handlers, plugins: [DepthGauge(interval: .seconds(15))])
///
/// Each metric has the dimension `kind`, and with several databases `database`. The labels, after the prefix and an underscore:
///
/// | label | what |
/// |---|---|
/// | `ready` | jobs that are due and wait to be claimed |
/// | `delayed` | jobs that wait to be due |
/// | `running` | claimed jobs, by whatever worker |
/// | `held` | jobs that wait for others of their concurrency key |
/// | `oldest_ready_seconds` | how long the ready job that was enqueued first has waited since it was due; 0 without one |
///
/// One gauge per database is enough: it reports the whole database, not only its worker's jobs.
///
/// A measurement reads the index of the waiting jobs, so its cost grows with their number. It delays neither enqueues nor claims.
/// After a slow measurement the gauge pauses for 100 times as long, so measuring takes at most 1 % of the time.
public struct DepthGauge: Plugin {
  /// The pause between two measurements. Default 15 s. After a measurement that takes longer than 1 % of the interval, the pause is
  /// 100 times as long as the measurement.
  public var interval: Duration
  /// The kinds to report, or nil for the worker's kinds.
  public var kinds: [Kind]?
  /// Whether to look for the job that has waited longest. Default: yes. With SQLite it costs as much again as the count.
  public var measuresAge: Bool
  private let prefix: String
  private let factory: any MetricsFactory

  /// - Parameters:
  ///   - interval: the time from one measurement to the next. Default 15 s.
  ///   - kinds: the kinds to report. Default: those that the worker has handlers for.
  ///   - measuresAge: whether to look for the job that has waited longest. Default: yes.
  ///   - prefix: the prefix of the labels. Default `qudo`.
  ///   - factory: where the metrics go. Default: the system's, as it is now; bootstrap it first.
  public init(
    interval: Duration = .seconds(15), kinds: [Kind]? = nil, measuresAge: Bool = true,
    prefix: String = "qudo",
    factory: any MetricsFactory = MetricsSystem.factory
  ) {
    self.interval = interval
    self.kinds = kinds
    self.measuresAge = measuresAge
    self.prefix = prefix
    self.factory = factory
  }

  /// - Throws: `QudoError.Code.invalidArgument` for an interval under 1 ms.
  public func start(_ worker: WorkerContext) async throws {
    guard interval >= .milliseconds(1) else {
      throw QudoError(.invalidArgument, "the gauge's interval is under 1 ms")
    }
  }

  /// Measures until the worker ends. If the database fails, the gauge logs a warning and tries again after the interval.
  public func run(_ worker: WorkerContext) async throws {
    var meters = AllMeters(
      kinds: kinds ?? worker.kinds, prefix: prefix, factory: factory, measuresAge: measuresAge)
    // Known to whoever reads the metrics before the first measurement.
    if worker.databases.only != nil { _ = meters.of(nil) }
    while true {
      let begun = worker.clock.sinceBoot()
      do {
        try await look(worker, &meters)
      } catch let error as QudoError where !Task.isCancelled {
        worker.logger.warning(
          "jobs not counted, retrying",
          metadata: ["error": "\(error)", "code": "\(error.code)"])
      }
      let ended = worker.clock.sinceBoot()
      let pause = max(interval.wholeMicroseconds, min(ended - begun, .max / 100) * 100)
      let (next, isTooLate) = ended.addingReportingOverflow(pause)
      try await worker.clock.sleep(untilSinceBoot: isTooLate ? .max : next)
    }
  }

  private func look(_ worker: WorkerContext, _ meters: inout AllMeters) async throws {
    let (kinds, measuresAge, clock) = (meters.kinds, measuresAge, worker.clock)
    let answers = await worker.databases.forEachDriver { driver throws(QudoError) in
      try await Self.depths(driver, kinds, measuresAge: measuresAge, clock)
    }
    for answer in answers {
      do throws(QudoError) {
        let depths = try answer.result.get()
        for (meters, depth) in zip(meters.of(answers.count > 1 ? answer.database : nil), depths) {
          meters.set(depth)
        }
      } catch {
        guard answers.count > 1 else { throw error }
        worker.logger.warning(
          "jobs not counted, retrying",
          metadata: ["database": "\(answer.database)", "error": "\(error)", "code": "\(error.code)"])
      }
    }
  }

  /// In the order of the kinds.
  private static func depths(
    _ driver: any Driver, _ kinds: [Kind], measuresAge: Bool, _ clock: any QueueClock
  ) async throws(QudoError) -> [Depth] {
    let counts = try await driver.count(kinds)
    let byKind = Dictionary(counts.map { ($0.kind, $0) }) { first, _ in first }
    var depths: [Depth] = []
    for kind in kinds {
      let count = byKind[kind] ?? JobCount(kind)
      let age = measuresAge && count.ready > 0 ? try await oldest(kind, driver, clock) : 0
      depths.append(Depth(count: count, age: age))
    }
    return depths
  }

  /// In seconds.
  private static func oldest(_ kind: Kind, _ driver: any Driver, _ clock: any QueueClock)
    async throws(QudoError) -> Double
  {
    guard let job = try await driver.jobs(matching: JobQuery(kinds: [kind], states: [.ready], limit: 1)).first
    else { return 0 }
    let since = max(job.dueAt, job.enqueuedAt)
    return Double(max(clock.now().wall.microseconds.clampedMinus(since.microseconds), 0)) / 1_000_000
  }
}

private struct Depth: Sendable {
  let count: JobCount
  let age: Double
}

/// The metric objects of each database, made when it is first reported.
private struct AllMeters {
  let kinds: [Kind]
  let prefix: String
  let factory: any MetricsFactory
  let measuresAge: Bool
  private var byDatabase: [String?: [Meters]] = [:]

  init(kinds: [Kind], prefix: String, factory: any MetricsFactory, measuresAge: Bool) {
    (self.kinds, self.prefix, self.factory, self.measuresAge) = (kinds, prefix, factory, measuresAge)
  }

  mutating func of(_ database: String?) -> [Meters] {
    if let meters = byDatabase[database] { return meters }
    let meters = kinds.map {
      Meters($0, database, prefix: prefix, factory: factory, measuresAge: measuresAge)
    }
    byDatabase[database] = meters
    return meters
  }
}

/// The metric objects of one kind.
private struct Meters: Sendable {
  let kind: Kind
  let ready: Meter
  let delayed: Meter
  let running: Meter
  let held: Meter
  let age: Meter?

  init(_ kind: Kind, _ database: String?, prefix: String, factory: any MetricsFactory, measuresAge: Bool) {
    let dimensions = [("kind", kind.name)] + (database.map { [("database", $0)] } ?? [])
    func meter(_ name: String) -> Meter {
      Meter(label: "\(prefix)_\(name)", dimensions: dimensions, factory: factory)
    }
    self.kind = kind
    ready = meter("ready")
    delayed = meter("delayed")
    running = meter("running")
    held = meter("held")
    age = measuresAge ? meter("oldest_ready_seconds") : nil
  }

  func set(_ depth: Depth) {
    ready.set(depth.count.ready)
    delayed.set(depth.count.delayed)
    running.set(depth.count.running)
    held.set(depth.count.held)
    age?.set(depth.age)
  }
}
#endif
