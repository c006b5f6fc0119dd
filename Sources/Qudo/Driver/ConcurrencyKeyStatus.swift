/// A concurrency key that is in use, as it is now: jobs have it, or final failures stop it.
public struct ConcurrencyKeyStatus: Hashable, Sendable, Codable {
  /// The kind of the key.
  public var kind: Kind
  /// The key.
  public var key: String
  /// The maximum number of admitted jobs: see ``ConcurrencyKey/limit``. That of a key without jobs is 1.
  public var limit: Int
  /// The maximum rate at which jobs of the key begin; nil for none.
  public var rate: RateLimit?
  /// What the next final failure does to the other jobs of the key.
  public var afterFailure: ConcurrencyKey.AfterFailure
  /// The number of jobs that are ready, delayed or running.
  public var admitted: Int
  /// The number of held jobs.
  public var held: Int
  /// The number of final failures that stop the key: it is stopped if there are any. See ``KeyStop``.
  public var stops: Int
  /// The time at which the rate lets the next job begin, by the database's clock; nil if it lets one begin now, or if there is no rate. The
  /// limit and stops do not count.
  public var nextTokenAt: Timestamp?

  /// Creates a status; for drivers.
  public init(
    _ kind: Kind, _ key: ConcurrencyKey, admitted: Int, held: Int, stops: Int = 0,
    nextTokenAt: Timestamp? = nil
  ) {
    (self.kind, self.key, limit, rate) = (kind, key.key, key.limit, key.rate)
    (afterFailure, self.admitted, self.held) = (key.afterFailure, admitted, held)
    (self.stops, self.nextTokenAt) = (stops, nextTokenAt)
  }

  /// Compares the keys byte by byte: Swift takes some texts of different bytes for equal.
  public static func == (a: ConcurrencyKeyStatus, b: ConcurrencyKeyStatus) -> Bool {
    a.kind == b.kind && a.key.utf8.elementsEqual(b.key.utf8) && a.limit == b.limit && a.rate == b.rate
      && a.afterFailure == b.afterFailure && a.admitted == b.admitted && a.held == b.held
      && a.stops == b.stops && a.nextTokenAt == b.nextTokenAt
  }
}

/// The selection of a listing of concurrency keys.
public struct ConcurrencyKeyQuery: Sendable {
  /// The kinds; nil for all. Default: all.
  public var kinds: [Kind]?
  /// The keys, compared as bytes; nil for all. Default: all.
  public var keys: [String]?
  /// The last key of the page before; nil for the first page.
  public var after: ConcurrencyKeyStatus?
  /// The maximum number of keys. Default: 1,000.
  public var limit: Int

  /// Creates a query.
  ///
  /// - Parameters:
  ///   - kinds: The kinds; nil for all.
  ///   - keys: The keys; nil for all.
  ///   - after: The last key of the page before; nil for the first page.
  ///   - limit: The maximum number of keys.
  public init(
    kinds: [Kind]? = nil, keys: [String]? = nil, after: ConcurrencyKeyStatus? = nil, limit: Int = 1000
  ) {
    (self.kinds, self.keys, self.after, self.limit) = (kinds, keys, after, limit)
  }
}

extension RateBucket {
  /// Returns when the next job may begin; nil if one may begin now.
  package func nextToken(_ rate: RateLimit, now: Timestamp) -> Timestamp? {
    guard let wait = wait(rate, now: now.microseconds), wait > 0 else { return nil }
    return now.advanced(by: .microseconds(wait))
  }
}
