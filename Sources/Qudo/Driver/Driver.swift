/// A database that stores jobs, as the queue and its workers call it.
///
/// Each verb takes a batch and runs it in one atomic transaction. Results are per job: a stale lease or a
/// unique conflict fails only its own item. If a verb throws, nothing was written, unless the code is
/// ``QudoError/Code/outcomeUnknown``. If another process keeps a verb waiting beyond the driver's timeout,
/// the verb throws ``QudoError/Code/busy``.
///
/// The conformance suite in `QudoTesting` has a case for each of these promises.
public protocol Driver: Sendable {
  /// The stable name of the database. With a job's number it identifies the job.
  var name: String { get }
  /// The optional features of the database. The conformance suite tests those that are declared.
  var capabilities: Capabilities { get }
  /// The sizes and ranges that ``insert(_:)`` enforces.
  var limits: Limits { get }
  /// The doorbell that rings when there may be jobs to claim.
  var doorbell: Doorbell { get }
  /// The 16 random bytes that identify the database; they make ``JobContext/idempotencyKey`` globally unique. A database
  /// that is made from a backup may keep them, so that a job that runs a second time has the same key.
  ///
  /// Default: empty. The key then depends on the database's name, the job's number, and its time of enqueue
  /// in microseconds.
  var generation: [UInt8] { get }

  /// Stores jobs and returns the results in the order of the jobs.
  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult]

  /// Claims ready jobs until their leases expire: highest priority first, then earliest due, then oldest.
  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim

  /// Writes outcomes and, if requested, claims the next jobs in the same transaction.
  func settle(_ settlements: [Settlement], claiming next: ClaimRequest?) async throws(QudoError) -> (
    results: [SettleResult], claim: Claim?
  )

  /// Sets the leases to expire `duration` from now. A `nil` in the results is a lease that no longer holds.
  func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?]

  /// Makes delayed jobs that are due ready, earliest first, at most `limit`. Claims do this too.
  ///
  /// - Returns: The number of jobs that became ready.
  func promote(limit: Int) async throws(QudoError) -> Int

  /// Returns live jobs in the order of their ids. It does not block writers.
  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob]

  /// Counts the jobs of each kind in each state; kinds without jobs are omitted.
  ///
  /// - Parameter kinds: The kinds to count, or nil for all.
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount]

  /// Completes calls in progress and closes the database. Later calls throw ``QudoError/Code/closed``.
  func close() async
}

extension Driver {
  public var generation: [UInt8] { [] }

  /// Counts the jobs of all kinds in each state.
  public func count() async throws(QudoError) -> [JobCount] { try await count(nil) }

  /// Releases claimed jobs, as if they had never been claimed.
  @discardableResult
  public func release(_ leases: [Lease]) async throws(QudoError) -> [SettleResult] {
    try await settle(leases.map { .unbegun($0) }, claiming: nil).results
  }
}

/// Optional features of a database.
public struct Capabilities: OptionSet, Sendable {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Jobs survive the end of the process.
  public static let durable = Capabilities(rawValue: 1)
  /// Acknowledged writes survive a power loss.
  public static let survivesPowerLoss = Capabilities(rawValue: 2)
  /// Several processes can work on the same jobs.
  public static let multiProcess = Capabilities(rawValue: 4)
  /// An enqueue rings the doorbells of other processes.
  public static let crossProcessWakeup = Capabilities(rawValue: 8)
  /// Leases use a clock that never jumps: no change of the wall clock affects them, and a reboot expires all.
  ///
  /// Without this feature, leases use the wall clock of the database server, and survive its restart.
  public static let monotonicLeases = Capabilities(rawValue: 16)
  /// The database knows which open driver holds a lease and whether it is alive.
  ///
  /// If that driver's process dies or closes it, the jobs can be claimed at once. Without this feature, they
  /// can be claimed when their leases expire.
  public static let recoversDeadHolders = Capabilities(rawValue: 32)
  /// The driver reaches the database over a network, so that the answer to a completed call can be lost.
  public static let remote = Capabilities(rawValue: 64)
  /// Jobs can be cancelled, changed, recovered and paused: the driver is a ``ControlDriver``.
  public static let control = Capabilities(rawValue: 128)
  /// While the doorbell has listeners, it also rings when a job ends, in any process.
  /// ``Queue/wait(for:timeout:)-(JobID,_)`` asks such a database again when it rings, and polls any other one.
  public static let ringsAtEnds = Capabilities(rawValue: 256)
  /// Schedules can be stored: the driver is a ``ScheduleDriver``.
  public static let schedules = Capabilities(rawValue: 512)
  /// Claims obey ``ClaimRequest/KindDemand/maxRunning``.
  public static let maxRunning = Capabilities(rawValue: 1024)
  /// Claims obey ``ClaimRequest/KindDemand/rate``.
  public static let rateLimits = Capabilities(rawValue: 2048)
  /// Jobs can have a ``ConcurrencyKey``. Without this feature, an enqueue with one throws ``QudoError/Code/invalidArgument``.
  public static let concurrencyKeys = Capabilities(rawValue: 4096)
  /// Jobs can have a ``NewJob/group``. Without this feature, an enqueue with one throws ``QudoError/Code/invalidArgument``.
  public static let groups = Capabilities(rawValue: 8192)
  /// A final failure can stop a concurrency key: see ``ConcurrencyKey/AfterFailure/stop``. Without this feature, an enqueue that asks
  /// for it throws ``QudoError/Code/invalidArgument``.
  public static let keyStops = Capabilities(rawValue: 16384)
  /// Claims obey ``ConcurrencyKey/rate``. Without this feature, an enqueue that asks for it throws ``QudoError/Code/invalidArgument``.
  public static let keyRates = Capabilities(rawValue: 32768)
}
