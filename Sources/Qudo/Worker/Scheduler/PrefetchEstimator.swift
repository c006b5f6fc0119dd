/// The number of jobs to claim beyond those that can begin, and the time of the claim, estimated from the durations of runs and claims and
/// from the sizes of payloads.
struct PrefetchEstimator {
  /// The moving average of the run time, in microseconds; nil before the first run.
  var averageRun: Double?
  private var averagedRuns = 0.0
  /// The average payload size in recent claims, in bytes.
  private var averageBytes = 0.0
  /// The number of jobs to prefetch: in the claim that is under way, and in the last one that was answered.
  var (requested, last) = (0, 0)
  /// The number of buffered jobs at which it is time to claim.
  private var refillAt = 0
  /// The latency of the last claim, at most twice the prefetch window, in microseconds.
  private(set) var claimLatency: Int64 = 0
  /// The time at which the buffer was last filled, and the number of its jobs then.
  private var (filledAt, filledCount) = (Int64(0), 0)

  /// The number of jobs to prefetch: as many as fill the prefetch window, and at most twice as many as the
  /// last time, so that a few short jobs do not cause a claim of a thousand long ones.
  func target(_ options: WorkerOptions, concurrency: Int) -> Int {
    guard let averageRun else { return 0 }
    let target = Double(options.prefetchWindow.wholeMicroseconds) * Double(concurrency) / max(averageRun, 1)
    let room = Double(options.maxPrefetchBytes) / max(averageBytes, 1)
    return min(Int(min(target, room, Double(options.maxPrefetch))), 2 * last + concurrency)
  }

  /// Updates the average run time. A single interrupted run changes it little; the first slow run of many
  /// shows at once.
  mutating func noteRun(_ took: Int64) {
    averagedRuns = min(averagedRuns + 1, 128)
    let average = averageRun ?? 0
    averageRun = average + (Double(took) - average) / averagedRuns
  }

  /// Notes that prefetched jobs could not begin for so long.
  mutating func noteStall(_ length: Int64) {
    averageRun = max(averageRun ?? 0, Double(length))
    last = 0
  }

  /// Notes the payloads of a claim. Larger ones count at once, smaller ones gradually: the next claim may return large ones again.
  mutating func noteClaim(_ jobs: Int, bytes: Int) {
    let average = Double(bytes) / Double(jobs)
    averageBytes = max(average, averageBytes + (average - averageBytes) / 8)
  }

  /// Restarts the measurement of how fast the buffer empties; called when a claim has filled it.
  mutating func filled(_ buffered: Int, asked: Int64, now: Int64, window: Int64) {
    refillAt = buffered / 2
    // Limited, so that a single slow claim, during a database error, does not delay settlements.
    claimLatency = min(max(0, now - asked), window.clampedPlus(window))
    (filledAt, filledCount) = (now, buffered)
  }

  /// Returns whether a claim is worthwhile: half of the last batch has started, or there is much to settle.
  func isRefillDue(_ buffered: Int, finished: Int, now: Int64) -> Bool {
    guard buffered <= refillAt || finished >= 250 else { return false }
    return buffered == 0 || !isRestQuick(buffered, now: now)
  }

  /// Returns whether the rest of the buffer will start within half the latency of a claim. Then the worker
  /// waits for it and settles it in the same transaction, which halves the number of transactions.
  func isRestQuick(_ buffered: Int, now: Int64) -> Bool {
    let pace = Double(now - filledAt) / Double(max(filledCount - buffered, 1))
    return Double(buffered) * pace * 2 < Double(claimLatency)
  }
}
