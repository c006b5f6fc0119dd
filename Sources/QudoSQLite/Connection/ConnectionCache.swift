internal import CSQLite
internal import Qudo

/// A connection's cache of kind ids, with the other hints about the file.
///
/// Qudo never deletes a kind, but a restore of the file may: a change by another connection clears the cache. So does a
/// rollback, because another process may give an id from the rolled-back transaction to another kind. SQLite reports
/// each rollback, including its own after an error. It does not report `ROLLBACK TO`, but Qudo's own connections have no
/// savepoints. The absence of a kind is never cached.
final class ConnectionCache {
  private var numbers: [Kind: Int64] = [:]
  /// The maximum number of cached kinds.
  static let most = 10_000
  /// The number of cached kinds, for tests.
  var count: Int { numbers.count }
  /// The cached ready jobs, invalidated together with the kinds.
  let readyLists = ReadyLists()
  /// The cached numbers of waiting jobs, invalidated together with the kinds.
  let waitingCounts = WaitingCounts()
  /// The pauses, ended ones included; nil if unknown. Invalidated together with the kinds.
  var pauses: [PauseRow]?
  /// Whether running jobs are marked as to be cancelled; nil if unknown. Invalidated together with the kinds.
  var hasMarks: Bool?
  /// Whether jobs have concurrency keys; nil if unknown. Invalidated together with the kinds.
  var hasKeys: Bool?
  /// Whether jobs are held, or keys have rules or are stopped; nil if unknown. Invalidated together with the kinds.
  var hasHeldOrRules: Bool?
  /// Whether keys are stopped; nil if unknown. Invalidated together with the kinds.
  var hasStops: Bool?
  /// Whether concurrency keys have buckets; nil if unknown. Invalidated together with the kinds.
  var hasKeyRates: Bool?
  /// Whether unique keys have throttles or rest; nil if unknown. Invalidated together with the kinds.
  var hasRests: Bool?
  /// Whether jobs have groups; nil if unknown. Invalidated together with the kinds.
  var hasGroups: Bool?
  /// Whether a claim took fewer jobs than it wanted, because a kind had reached its maximum of running jobs.
  var isAtMaxRunning = false
  /// Whether the last claim of one kind found few jobs, or many short rows: then it is cheaper to read the next ones
  /// before they are taken.
  var frontIsShort = false
  /// Other hints about the file, invalidated together with the kinds.
  var hints = FileHints()
  /// The kind that was looked up last.
  private var last: (kind: Kind, number: Int64)?

  /// Creates a cache for a borrowed connection. It lives only as long as one call, so it needs no rollback hook.
  init() {}

  init(_ handle: OpaquePointer) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    sqlite3_rollback_hook(
      handle,
      { context in
        context.map { Unmanaged<ConnectionCache>.fromOpaque($0).takeUnretainedValue().invalidate() }
      }, context)
  }

  /// The demands of the last claim over several kinds, and the kinds among them that the file knows.
  private var claim: (demands: [ClaimRequest.KindDemand], kinds: [ClaimableKind])?

  /// Returns the worker's kinds that the file knows.
  ///
  /// A worker passes the same kinds each time. The result is cached until it passes others, another connection changes
  /// the file, or this one creates a kind. The cache retains its array, so an array at the same address is the same one.
  func claimable(
    _ demands: [ClaimRequest.KindDemand], id: (Kind) throws(QudoError) -> Int64?
  ) throws(QudoError) -> [ClaimableKind] {
    if demands.count > 1 {
      let place = demands.withUnsafeBufferPointer { $0.baseAddress }  // unsafe: compared, not read
      if let claim, claim.demands.withUnsafeBufferPointer({ $0.baseAddress }) == place,
        claim.demands.count == demands.count
      {
        return claim.kinds
      }
    }
    var found: [ClaimableKind] = []
    for demand in demands {
      if let number = try id(demand.kind) { found.append(ClaimableKind(demand: demand, number: number)) }
    }
    if demands.count > 1 { claim = (demands, found) }
    return found
  }

  /// Notes that the file got a kind that it did not know.
  func noteNewKind() { claim = nil }

  /// Drops everything that is cached.
  func invalidate() {
    numbers.removeAll(keepingCapacity: true)
    last = nil
    claim = nil
    hints = FileHints()
    readyLists.invalidate()
    waitingCounts.invalidate()
    (pauses, hasMarks, hasKeys, hasRests) = (nil, nil, nil, nil)
    (hasHeldOrRules, hasStops, hasGroups, hasKeyRates) = (nil, nil, nil, nil)
  }

  /// Removes the rollback hook, before the connection is closed.
  func detach(_ handle: OpaquePointer) { sqlite3_rollback_hook(handle, nil, nil) }

  subscript(kind: Kind) -> Int64? {
    get {
      if let last, last.kind == kind { return last.number }
      let number = numbers[kind]
      if let number { last = (kind, number) }
      return number
    }
    set {
      // Bounded: an application may create a kind per customer. Dropped kinds are looked up again.
      if numbers.count >= Self.most { numbers = [:] }
      numbers[kind] = newValue
    }
  }
}
