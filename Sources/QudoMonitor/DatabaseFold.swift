internal import Qudo

/// Makes samples of the figures of one database, and remembers what the next ones need. A pure value.
struct DatabaseFold: Sendable {
  /// The durations of a kind that were seen last.
  private struct Window: Sendable {
    /// The number of durations that are kept.
    private static let most = 512
    private var values: [Int64] = []
    private var next = 0

    mutating func add(_ value: Int64) {
      if values.count < Self.most {
        values.append(value)
      } else {
        values[next] = value
        next = (next + 1) % Self.most
      }
    }
    var percentiles: Percentiles? { Percentiles(ofMicroseconds: values) }
  }

  private struct Run: Hashable { let job: Int64, attempt: Int }

  private struct Before {
    let figures: QueueFigures
    let sinceBoot: Int64
    let unfinished: [Kind: Int]
  }

  /// The number of kinds that are remembered although they have no jobs, and of those whose times are.
  private static let mostKinds = 1000

  private var before: Before?
  /// The number of the call whose answer was folded last, and what came of it.
  private var newest: (call: Int, state: DatabaseSample.DatabaseState)?
  private var known: Set<Kind> = []
  private var runTimes: [Kind: Window] = [:]
  private var waits: [Kind: Window] = [:]
  /// The runs of the sample before, whose waits were counted.
  private var counted: Set<Run> = []
  private var newestEnded: Int64 = 0
  /// The newest rows of the logs that samples have seen.
  private var (lastFailure, lastEnded): (Int64?, Int64?) = (nil, nil)

  /// Adds figures. Those of a call that began before the one that was added last say nothing new, and nothing comes of them.
  ///
  /// - Parameters:
  ///   - call: The number of the call that read the figures: later calls have higher ones. Default: the next one.
  ///   - sinceBoot: When the figures were read.
  ///   - limit: The limit with which they were read.
  /// - Returns: The state by the newest figures.
  mutating func add(
    _ figures: QueueFigures, call: Int? = nil, at sinceBoot: Int64, took: Duration, limit: Int
  ) -> DatabaseSample.DatabaseState {
    if let newest, let call, call < newest.call { return newest.state }
    let call = call ?? (newest?.call ?? 0) + 1
    if let before, let highest = figures.highestID, let earlier = before.figures.highestID, highest < earlier
    {
      // Another file is in its place, for example a restored one.
      self = DatabaseFold()
    }
    noteRuns(figures)
    var state = DatabaseSample.DatabaseState(now: figures.now)
    (state.took, state.cost) = (took, figures.cost ?? took)
    state.hasWorker = figures.hasWorker
    state.isExact = figures.isExact
    (state.fileBytes, state.walBytes) = (figures.fileBytes, figures.walBytes)
    state.newestFailure = figures.failures.first?.id
    state.pause = figures.pauses.first { $0.kind == nil }
    state.workers = workers(figures)
    state.kinds = kinds(figures)
    state.unlistedRunning = max(0, state.running - figures.running.count)
    let minute = figures.now.advanced(by: .seconds(-60))
    state.hasMoreFailures =
      figures.failures.count >= limit && limit > 0
      && figures.failures.last.map { $0.failedAt > minute } ?? false
    addRates(&state, figures, sinceBoot, limit)
    before = Before(
      figures: figures, sinceBoot: sinceBoot,
      unfinished: Dictionary(state.kinds.map { ($0.kind, $0.unfinished) }) { first, _ in first })
    newest = (call, state)
    return state
  }

  private mutating func noteRuns(_ figures: QueueFigures) {
    for run in figures.ended.reversed() where run.id > newestEnded {
      newestEnded = run.id
      let time = run.endedAt.microseconds.subtractingReportingOverflow(run.startedAt.microseconds)
      guard runTimes[run.kind] != nil || runTimes.count < Self.mostKinds else { continue }
      runTimes[run.kind, default: Window()].add(time.overflow ? 0 : max(0, time.partialValue))
    }
    var runs: Set<Run> = []
    for job in figures.running {
      let run = Run(job: job.id, attempt: job.attempt)
      runs.insert(run)
      guard let started = job.startedAt, !counted.contains(run) else { continue }
      guard waits[job.kind] != nil || waits.count < Self.mostKinds else { continue }
      let time = started.microseconds.subtractingReportingOverflow(job.dueAt.microseconds)
      waits[job.kind, default: Window()].add(time.overflow ? 0 : max(0, time.partialValue))
    }
    counted = runs
  }

  private func workers(_ figures: QueueFigures) -> [WorkerSample] {
    let byProcess = Dictionary(grouping: figures.running, by: \.processID)
    let workers = byProcess.map { process, jobs in
      WorkerSample(
        processID: process,
        jobs: jobs.sorted { ($0.startedAt ?? .latest, $0.id) < ($1.startedAt ?? .latest, $1.id) })
    }
    return workers.sorted { ($0.processID ?? .max) < ($1.processID ?? .max) }
  }

  private mutating func kinds(_ figures: QueueFigures) -> [KindSample] {
    var kinds: [Kind: KindSample] = [:]
    for count in figures.counts {
      var kind = KindSample(count.kind)
      (kind.ready, kind.delayed, kind.running) = (count.ready, count.delayed, count.running)
      kind.held = count.held == 0 ? nil : count.held
      kind.isPaused = count.isPaused
      kinds[count.kind] = kind
    }
    for oldest in figures.oldest {
      kinds[oldest.kind, default: KindSample(oldest.kind)].oldestReady = oldest.age
    }
    for pause in figures.pauses {
      guard let kind = pause.kind else { continue }
      kinds[kind, default: KindSample(kind)].pause = pause
    }
    let minute = figures.now.advanced(by: .seconds(-60))
    for failure in figures.failures where failure.failedAt > minute && failure.reason != .cancelled {
      kinds[failure.kind, default: KindSample(failure.kind)].failuresInMinute += 1
    }
    for kind in kinds.keys where known.count < Self.mostKinds { known.insert(kind) }
    for kind in known where kinds[kind] == nil { kinds[kind] = KindSample(kind) }
    let isAllPaused = figures.pauses.contains { $0.kind == nil }
    return kinds.values.sorted { $0.kind < $1.kind }.map { kind in
      var kind = kind
      kind.isPaused = kind.isPaused || isAllPaused || kind.pause != nil
      kind.runTime = runTimes[kind.kind]?.percentiles
      kind.waitTime = waits[kind.kind]?.percentiles
      return kind
    }
  }

  private mutating func addRates(
    _ state: inout DatabaseSample.DatabaseState, _ figures: QueueFigures, _ sinceBoot: Int64, _ limit: Int
  ) {
    let failures = Self.new(
      figures.failures.map { ($0.id, $0.kind, $0.reason != .cancelled) }, since: lastFailure, limit)
    let ended = Self.new(
      figures.ended.map { ($0.id, $0.kind, $0.status == .completed || $0.status == .replaced) },
      since: lastEnded, limit)
    lastFailure = figures.failures.first?.id ?? lastFailure
    lastEnded = figures.ended.first?.id ?? lastEnded
    guard let before, sinceBoot > before.sinceBoot else { return }
    let seconds = Double(sinceBoot - before.sinceBoot) / 1_000_000
    if let highest = figures.highestID, let earlier = before.figures.highestID {
      // A damaged file may have any number here, so these are not integers.
      let enqueued = Double(highest) - Double(earlier)
      let change =
        state.kinds.reduce(0) { $0 + Double($1.unfinished) }
        - before.unfinished.values.reduce(0) { $0 + Double($1) }
      state.enqueuedPerSecond = enqueued / seconds
      state.endedPerSecond = max(0, enqueued - change) / seconds
    }
    state.failuresPerSecond = failures.values.reduce(0, +) / seconds
    for index in state.kinds.indices {
      let kind = state.kinds[index].kind
      let change = Double(state.kinds[index].unfinished) - Double(before.unfinished[kind] ?? 0)
      state.kinds[index].changePerSecond = change / seconds
      state.kinds[index].failuresPerSecond = (failures[kind] ?? 0) / seconds
      if runTimes[kind] != nil { state.kinds[index].completedPerSecond = (ended[kind] ?? 0) / seconds }
    }
  }

  /// Returns how many rows of a log are new, by kind.
  ///
  /// - Parameters:
  ///   - rows: The rows that were read, newest first, and whether each counts.
  ///   - last: The newest row that was seen before; nil if none was.
  ///   - limit: How many rows are read at most.
  private static func new(
    _ rows: [(id: Int64, kind: Kind, counts: Bool)], since last: Int64?, _ limit: Int
  ) -> [Kind: Double] {
    var counts: [Kind: Double] = [:]
    for row in rows where row.counts && row.id > last ?? .min { counts[row.kind, default: 0] += 1 }
    // The log may have more new rows than were read: these stand for the others.
    guard rows.count >= limit, let last, let newest = rows.first?.id, let oldest = rows.last?.id,
      oldest > last
    else { return counts }
    let factor = (Double(newest) - Double(last)) / Double(rows.count)
    return counts.mapValues { $0 * factor }
  }
}
