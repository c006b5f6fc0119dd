internal import Qudo

// A unique key with a throttle has a row in qudo_rest from its enqueue on. The completion of its job sets the row's end: until then the
// key rests. Any other end of the job deletes the row. Jobs without a throttle come here only to learn that no key has one, which the
// connection usually knows.
extension Transaction {
  /// The number of ended rests that an enqueue with a throttle deletes, so that they stay fewer than the enqueues.
  private static let pageSize = 16
  /// The number of ended rests that an idle worker deletes.
  private static let idlePage = 256

  /// Returns the completed job since which a unique key rests; nil if it does not.
  func jobOfResting(_ key: String, kind: Int64) throws(QudoError) -> Int64? {
    guard connection.cache.hasRests != false, try restTable.hasAny() else { return nil }
    var found: Int64?
    for rest in try restTable.rests(of: key, kind: kind) {
      guard rest.ends > now.wall.microseconds else {
        try restTable.delete(rest.job)
        continue
      }
      found = rest.job
      // It began in the future: the clock was set back.
      if rest.ends.clampedMinus(rest.throttle) > now.wall.microseconds {
        let ends = now.wall.advanced(by: .microseconds(rest.throttle))
        try restTable.setEnd(of: rest.job, ends.microseconds)
      }
    }
    return found
  }

  /// Whether a unique key rests. It writes nothing.
  func rests(_ key: String, kind: Int64) throws(QudoError) -> Bool {
    guard connection.cache.hasRests != false, try restTable.hasAny() else { return false }
    return try restTable.rests(of: key, kind: kind).contains { $0.ends > now.wall.microseconds }
  }

  /// Notes the throttle of a new job's unique key.
  func insertThrottle(of job: Int64, _ unique: UniqueKey, kind: Int64) throws(QudoError) {
    guard let throttle = unique.throttle else { return }
    try restTable.insert(throttle, of: job, key: unique.key, kind: kind)
    try restTable.deleteEnded(now.wall, atMost: Self.pageSize)
  }

  /// Lets the unique keys of jobs that complete rest, if they have throttles. Call it before the jobs are deleted.
  @inline(__always)
  func beginRests(_ jobs: ClosedRange<Int64>) throws(QudoError) {
    guard connection.cache.hasRests != false, try restTable.hasAny() else { return }
    try restTable.begin(jobs, now: now.wall)
  }

  /// Deletes the throttles of jobs that are deleted.
  @inline(__always)
  func deleteThrottles(_ jobs: ClosedRange<Int64>) throws(QudoError) {
    guard connection.cache.hasRests != false, try restTable.hasAny() else { return }
    try restTable.deleteLive(jobs)
  }

  /// Deletes some ended rests after a claim that found nothing: keys need not be enqueued again.
  func pruneRestsWhileIdle() throws(QudoError) {
    guard connection.cache.hasRests != false, try restTable.hasAny() else { return }
    try restTable.deleteEnded(now.wall, atMost: Self.idlePage)
  }
}
