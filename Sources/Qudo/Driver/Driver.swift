/// What a database must be able to do, verb by verb.
///
/// Each verb works on a batch, is one atomic transaction, and reports per job: a stale lease or a unique conflict
/// fails its own item and spoils no other. An error that is thrown fails all, and then nothing was written, unless
/// its code is ``QudoError/Code/outcomeUnknown``. A verb that another process keeps waiting longer than the driver's
/// own time-out throws ``QudoError/Code/busy``.
///
/// `QudoTesting` has a conformance suite with a case for each promise.
public protocol Driver: Sendable {
  /// The database's stable name. A job is named by it and the job's id.
  var name: String { get }
  /// What the database can do beyond the verbs. The conformance suite asks for what is declared.
  var capabilities: Capabilities { get }
  /// What an insert refuses.
  var limits: Limits { get }
  /// Rings when there may be jobs to claim.
  var doorbell: Doorbell { get }
  /// Bytes that no other database has, 16 of them at random; with them ``JobContext/idempotencyKey`` is unique in the world.
  ///
  /// The default is none: then the key rests on the database's name, the job's number, and the microsecond of its enqueue.
  var generation: [UInt8] { get }

  /// Stores jobs. The results are in the order of the jobs.
  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult]

  /// Takes jobs exclusively until their leases end: highest priority first, then earliest due, then oldest.
  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim

  /// Writes outcomes and, if asked, claims the next jobs in the same transaction.
  func settle(_ settlements: [Settlement], claiming next: ClaimRequest?) async throws(QudoError) -> (results: [SettleResult], claim: Claim?)

  /// Makes leases end `duration` from now. A `nil` in the results is a lease that is lost.
  func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?]

  /// Makes delayed jobs that are due ready, at most `limit`, earliest first. Claims do this too.
  ///
  /// - Returns: how many became ready.
  func promote(limit: Int) async throws(QudoError) -> Int

  /// Live jobs in the order of their ids. It does not hold up the writers.
  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob]

  /// How many jobs of each kind are in each state; a kind without any is left out.
  ///
  /// - Parameter kinds: the kinds to count; all for nil.
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount]

  /// Waits for what was handed in and lets go of the database; later calls throw ``QudoError/Code/closed``.
  func close() async
}

extension Driver {
  public var generation: [UInt8] { [] }

  /// How many jobs of each kind are in each state.
  public func count() async throws(QudoError) -> [JobCount] { try await count(nil) }

  /// Gives jobs back as if they had never been claimed.
  @discardableResult
  public func release(_ leases: [Lease]) async throws(QudoError) -> [SettleResult] {
    try await settle(leases.map { Settlement($0, .released) }, claiming: nil).results
  }
}

/// What a database can do beyond the verbs.
public struct Capabilities: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Jobs outlive the process.
  public static let durable = Capabilities(rawValue: 1)
  /// What was acknowledged outlives a power cut.
  public static let survivesPowerLoss = Capabilities(rawValue: 2)
  /// Several processes may work on the same jobs.
  public static let multiProcess = Capabilities(rawValue: 4)
  /// An enqueue rings the doorbells of other processes.
  public static let crossProcessWakeup = Capabilities(rawValue: 8)
  /// Leases go by a clock that never jumps: no setting of the wall clock ends or prolongs one, and a restart of the
  /// machine ends all. Without it they go by the wall clock of the database's server, and its restart ends none.
  public static let monotonicLeases = Capabilities(rawValue: 16)
  /// The database knows which open driver holds a lease, and whether it lives: when its process dies, or closes it, its jobs can be
  /// claimed at once. Without it they can when their leases expire.
  public static let recoversDeadHolders = Capabilities(rawValue: 32)
  /// A network lies between the driver and the database: the answer to a call that was done can be lost.
  public static let remote = Capabilities(rawValue: 64)
}
