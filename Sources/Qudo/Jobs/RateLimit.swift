/// The maximum rate at which jobs of a kind, or of a concurrency key, begin, across all workers of a database.
///
///     JobPolicy(rate: RateLimit(10, per: .seconds(1)))
///     ConcurrencyKey("customer-7", limit: 4, rate: RateLimit(10, per: .seconds(60)))
///
/// Each database has a token bucket per kind with a rate, and one per concurrency key with a rate. A bucket holds at most ``burst`` tokens
/// and gains one every ``period`` / ``count``, rounded up to whole microseconds. Each claimed job takes one. So over any time of n periods
/// at most ``burst`` + n × ``count`` jobs begin: after a pause, a burst, and then one job after the other. For evenly spaced jobs, choose
/// a burst of 1.
public struct RateLimit: Hashable, Sendable, Codable {
  /// The number of jobs in a ``period``, 1 or more.
  public var count: Int
  /// The time in which ``count`` jobs begin, above 0. The time between two tokens is at least 1 µs.
  public var period: Duration
  /// The number of jobs that may begin at once after a pause, 1 or more. Default: ``count``.
  public var burst: Int

  /// Creates a rate of `count` jobs per period.
  ///
  /// - Parameters:
  ///   - count: The number of jobs.
  ///   - period: The period.
  ///   - burst: The number of jobs that may begin at once; nil for `count`.
  public init(_ count: Int, per period: Duration, burst: Int? = nil) {
    (self.count, self.period, self.burst) = (count, period, burst ?? count)
  }

  /// The longest time in microseconds that an empty bucket may take to fill: ten years.
  private static let longest: Int64 = 10 * 366 * 86_400_000_000

  /// The time in microseconds after which the bucket gains a token, rounded up so that the rate is never exceeded. Nil if the rate
  /// lets no job begin, or its bucket takes too long to fill.
  var spacing: Int64? {
    let period = period.wholeMicroseconds
    guard count >= 1, burst >= 1, period >= 1, Int64(count) <= period, period < .max else { return nil }
    let spacing = (period - 1) / Int64(count) + 1
    let (fill, isTooLong) = spacing.multipliedReportingOverflow(by: Int64(burst))
    return isTooLong || fill > Self.longest ? nil : spacing
  }

  /// - Throws: ``QudoError/Code/invalidArgument`` if the rate lets no job of the kind begin, or its bucket takes too long to fill.
  func check(_ kind: Kind) throws(QudoError) { try check("\(kind)", ", or pause the kind") }

  /// - Parameters:
  ///   - owner: The kind, or what else has the rate, for the error.
  ///   - alternative: What else the caller may do if no job may begin.
  fileprivate func check(_ owner: String, _ alternative: String) throws(QudoError) {
    guard count >= 1 else {
      throw QudoError(
        .invalidArgument, "the rate of \(owner) is under 1 job: give 1 or more\(alternative)")
    }
    guard burst >= 1 else {
      throw QudoError(.invalidArgument, "the burst of \(owner)'s rate is under 1: give 1 or more")
    }
    guard period > .zero, Int64(count) <= period.wholeMicroseconds else {
      throw QudoError(
        .invalidArgument, "the rate of \(owner) is above one job per microsecond: give a longer period")
    }
    guard spacing != nil else {
      throw QudoError(
        .invalidArgument,
        "the rate of \(owner) takes more than ten years for its burst: give a shorter period"
      )
    }
  }
}

extension RateLimit {
  /// - Throws: ``QudoError/Code/invalidArgument`` if the rate lets no job of a concurrency key begin, or its bucket takes too long to fill.
  func checkForKey() throws(QudoError) { try check("the concurrency key", "") }

  /// The rate as the columns of concurrency keys have it: the count, the period in microseconds and the burst, such as `10/60000000/10`.
  package var text: String { "\(count)/\(period.wholeMicroseconds)/\(burst)" }

  /// Reads a column of a concurrency key.
  ///
  /// - Throws: ``QudoError/Code/corrupt`` for anything but a ``text`` of a rate that lets jobs begin.
  package init(text: String) throws(QudoError) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int64($0) }
    guard parts.count == 3, let count = parts[0].flatMap({ Int(exactly: $0) }), let period = parts[1],
      let burst = parts[2].flatMap({ Int(exactly: $0) })
    else { throw Self.malformed }
    self.init(count, per: .microseconds(period), burst: burst)
    guard spacing != nil else { throw Self.malformed }
  }

  private static let malformed = QudoError(
    .corrupt,
    "the rate of a concurrency key is malformed: the database is damaged, or another program modified it"
  )
}

/// The token bucket of a kind with a rate, as a database stores it. All times are in microseconds since 1970, by the database's
/// clock.
///
/// It stores when the bucket will be full instead of how full it is, so that nothing is written as time goes by. Callers hold what
/// the database locks for the kind.
package struct RateBucket: Hashable, Sendable {
  /// The time at which the bucket is full, if nothing more is taken.
  package var fullAt = Int64.min
  /// The time at which the bucket was last written. If the clock shows less, it was set back since: see ``isAhead(of:now:)``.
  package var writtenAt = Int64.min
  /// The time between two tokens, by the rate of the last claim.
  package var spacing: Int64 = 0
  /// The time before which no job of the kind begins: see ``JobContext/throttle(for:)``.
  package var throttledUntil = Int64.min

  /// Creates a full bucket.
  package init() {}

  /// Creates a bucket from its stored values, whatever they are.
  package init(fullAt: Int64, writtenAt: Int64, spacing: Int64, throttledUntil: Int64) {
    self.fullAt = fullAt
    self.writtenAt = writtenAt
    self.spacing = spacing
    self.throttledUntil = throttledUntil
  }

  /// Returns the time until the bucket is full. It is never longer than an empty bucket takes, even if the rate was raised
  /// or the clock set back since; a throttle empties it until it ends.
  private func missing(_ rate: RateLimit, _ spacing: Int64, _ now: Int64) -> Int64 {
    let left = max(0, fullAt.clampedMinus(max(now, writtenAt)))
    let afterThrottle = throttled(now).clampedPlus(spacing * Int64(rate.burst - 1))
    return min(left, max(spacing * Int64(rate.burst), afterThrottle))
  }

  /// Returns for how long no job of the kind begins.
  private func throttled(_ now: Int64) -> Int64 { max(0, throttledUntil.clampedMinus(max(now, writtenAt))) }

  /// Returns how many jobs may begin.
  package func tokens(_ rate: RateLimit, now: Int64) -> Int {
    guard let spacing = rate.spacing, throttled(now) == 0 else { return 0 }
    let used = (missing(rate, spacing, now) + spacing - 1) / spacing
    return rate.burst - Int(used)
  }

  /// Returns the time until the next job may begin: 0 if one may begin now, nil if none ever may.
  package func wait(_ rate: RateLimit, now: Int64) -> Int64? {
    guard let spacing = rate.spacing else { return nil }
    return max(throttled(now), missing(rate, spacing, now) - spacing * Int64(rate.burst - 1))
  }

  /// Whether the clock was set back, or the rate raised, since the bucket was written. Until it is written again, with a
  /// ``take(_:_:now:)`` of 0 if need be, no time goes by for it.
  package func isAhead(of rate: RateLimit, now: Int64) -> Bool {
    guard let spacing = rate.spacing else { return false }
    return writtenAt > now || fullAt.clampedMinus(now) > missing(rate, spacing, now)
  }

  /// Takes tokens.
  ///
  /// - Parameter count: At most ``tokens(_:now:)``.
  package mutating func take(_ count: Int, _ rate: RateLimit, now: Int64) {
    guard let spacing = rate.spacing else { return }
    let missing = missing(rate, spacing, now) + spacing * Int64(count)
    write(spacing, missing: missing, throttled: throttled(now), now)
  }

  /// Gives back tokens of jobs that were claimed and did not begin. If the kind is throttled since, its bucket stays empty.
  package mutating func giveBack(_ count: Int) {
    guard throttledUntil <= writtenAt else { return }
    fullAt = fullAt.clampedMinus(spacing.clampedTimes(Int64(count)))
  }

  /// Lets no job begin for a time. After it one may begin, and then the others at their rate.
  package mutating func throttle(_ rate: RateLimit, for duration: Duration, now: Int64) {
    guard let spacing = rate.spacing else { return }
    let until = max(duration.wholeMicroseconds, throttled(now))
    let missing = max(
      missing(rate, spacing, now), until.clampedPlus(spacing * Int64(rate.burst - 1)))
    write(spacing, missing: missing, throttled: until, now)
  }

  private mutating func write(_ spacing: Int64, missing: Int64, throttled: Int64, _ now: Int64) {
    fullAt = now.clampedPlus(missing)
    throttledUntil = now.clampedPlus(throttled)
    self.spacing = spacing
    writtenAt = now
  }
}

/// A kind with a rate in one claim.
package struct RatedClaim: Sendable {
  package let kind: Kind
  /// The kind's number in the database; 0 if it has none.
  package let number: Int64
  package private(set) var bucket: RateBucket
  private let rate: RateLimit
  /// The number of jobs that the claim wants.
  private let wanted: Int
  /// The time of the claim.
  private let now: Int64

  package init(
    _ kind: Kind, number: Int64 = 0, _ rate: RateLimit, _ bucket: RateBucket, wanted: Int, now: Timestamp
  ) {
    self.kind = kind
    self.number = number
    self.rate = rate
    self.bucket = bucket
    self.wanted = max(0, wanted)
    self.now = now.microseconds
    allowed = min(self.wanted, bucket.tokens(rate, now: self.now))
  }

  /// The number of jobs that may begin.
  package let allowed: Int

  /// Whether the bucket must be written even if no token is taken: see ``RateBucket/isAhead(of:now:)``. A claim that wants no
  /// job of the kind, for example because as many run as may run, leaves the bucket as it is.
  package var isAhead: Bool { wanted > 0 && bucket.isAhead(of: rate, now: now) }

  /// Takes the tokens of the claimed jobs.
  ///
  /// - Returns: Whether the bucket must be written.
  package mutating func take(_ count: Int) -> Bool {
    guard count > 0 || isAhead else { return false }
    bucket.take(count, rate, now: now)
    return true
  }

  /// Returns the time in microseconds until the next job may begin, if the claim took all that the rate allowed and wanted more.
  package func wait(after count: Int) -> Int64? {
    count == allowed && allowed < wanted ? bucket.wait(rate, now: now) : nil
  }
}

/// A concurrency key with a rate in one claim.
///
/// The ready jobs of the key that the claim reaches take a token each, in their order. Those that find none are *late*: they are delayed
/// until the next token is due. Then they come back together, in their order: the first one takes the token, and the others are delayed
/// again. So no token waits for a job that was cancelled, and a new job overtakes none. It costs a move for each admitted job and token,
/// and so a key with a rate admits few jobs: see ``ConcurrencyKey/limit``.
package struct RatedKey: Sendable {
  private let rate: RateLimit
  private let now: Int64
  private let allowed: Int
  /// The bucket before the jobs of the claim take tokens.
  package let before: RateBucket
  /// The bucket to store if the claim delays no job.
  package private(set) var bucket: RateBucket
  /// Whether ``before`` must be stored, even if no token is taken: see ``RateBucket/isAhead(of:now:)``.
  package let isAhead: Bool
  /// The number of jobs that take a token.
  package private(set) var taken = 0

  package init(_ rate: RateLimit, _ stored: RateBucket, now: Timestamp) {
    (self.rate, self.now, bucket) = (rate, now.microseconds, stored)
    isAhead = bucket.isAhead(of: rate, now: self.now)
    if isAhead { bucket.take(0, rate, now: self.now) }
    before = bucket
    allowed = bucket.tokens(rate, now: self.now)
  }

  /// Gives the next job of the key a token.
  ///
  /// - Returns: False if there is none: the job is late.
  package mutating func take() -> Bool {
    guard taken < allowed else { return false }
    taken += 1
    return true
  }

  /// Takes the tokens out of the bucket. Call it once, after the last ``take()``.
  package mutating func takeTokens() { if taken > 0 { bucket.take(taken, rate, now: now) } }

  /// When the late jobs come back. Ask after ``takeTokens()``.
  package var nextToken: Int64 { now.clampedPlus(max(1, bucket.wait(rate, now: now) ?? 1)) }
}
