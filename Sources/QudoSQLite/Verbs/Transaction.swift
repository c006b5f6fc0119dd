internal import Qudo

/// A write transaction, the context of every verb. Several verbs may share one transaction.
struct Transaction: TableAccess {
  /// The pending work of a transaction, for before or after its commit.
  final class Effects {
    /// Whether workers may have something to claim after the commit.
    var wakes = false
    /// Stored jobs that are not in `qudo_ready` yet.
    var ready = CollectedReady()
    /// The jobs that the current claim gave up after expired leases.
    var givenUp: [GivenUpJob] = []
    /// The number of jobs that the current claim recovered.
    var recovered = 0
    /// Whether another connection has changed the file since this one's last transaction.
    var followsOthers = false
    /// Whether an answer reports a job that another transaction wrote, which may not be synced yet.
    var tellsOfOthers = false
    /// The time in microseconds until the rate of a kind lets its next job begin, if the current claim wanted it.
    var untilNextToken: Int64?
    /// The places of groups that the transaction has looked up.
    var places: [RankedKind: GroupPlaces] = [:]
    /// Whether jobs without a group take turns with others of their kind, as far as it was looked up.
    var groupedKinds: [Int64: Bool] = [:]
    fileprivate var storesHighestID = false

    /// Removes and returns the recoveries of the current claim, so that the next claim in the transaction does not
    /// report them again.
    func takeRecovered() -> (givenUp: [GivenUpJob], recovered: Int) {
      defer { (givenUp, recovered) = ([], 0) }
      return (givenUp, recovered)
    }

    /// Removes and returns ``untilNextToken``, so that the next claim in the transaction does not report it again.
    func takeUntilNextToken() -> Int64? {
      defer { untilNextToken = nil }
      return untilNextToken
    }
  }

  let connection: Connection
  let now: ClockReading
  /// The kernel locks that tell which holders are alive; nil on an application's connection, which claims nothing.
  let locks: KernelLocks?
  let effects: Effects
  /// The lifetime of idempotency keys.
  let receiptLifetime: Duration

  /// Writes the collected changes. Call it before the commit.
  func finish() throws(QudoError) {
    try insertCollectedReady()
    guard effects.storesHighestID else { return }
    try infoTable.setHighestID(try highestID())
  }
}

// Ids are never reused. AUTOINCREMENT would write one more page in each commit. Instead, the connection caches the
// highest id, and writes it only when the job with that id is deleted.
extension Transaction {
  /// Returns an id that no job has ever had.
  func nextID() throws(QudoError) -> Int64 {
    let highest = try highestID()
    guard highest < .max else {
      throw QudoError(.corrupt, "no job id is left: another program modified the file")
    }
    connection.hints.highestID = highest + 1
    // The new job's row records the highest id.
    effects.storesHighestID = false
    return highest + 1
  }

  /// Notes a permanent deletion. Call it before the deletion.
  func willDelete(highest id: Int64) throws(QudoError) {
    if id >= (try highestID()) { effects.storesHighestID = true }
  }

  /// Returns the highest id ever given to a job.
  func highestID() throws(QudoError) -> Int64 {
    if let known = connection.hints.highestID { return known }
    return try infoTable.identity().highestID
  }

  /// Checks, after another connection changed the file, that it is still the opened file with a continuous history.
  ///
  /// SQLite's own restore commands are ordinary transactions, so only the contents reveal them.
  ///
  /// - Throws: ``QudoError/Code/databaseReplaced`` if the file was restored.
  func checkIdentity(_ generation: [UInt8]) throws(QudoError) {
    let found = try infoTable.identity()
    guard found.generation == generation else { throw .replaced("it has another generation") }
    guard found.highestID < connection.highestCommitted else { return }
    // If a state table still has a job with a higher id, another program deleted the job's row by SQL. A restored file
    // would contain neither.
    guard try infoTable.isNamed(above: found.highestID) else {
      throw .replaced("it does not know the last job ids")
    }
    connection.hints.highestID = connection.highestCommitted
    effects.storesHighestID = true
  }

  /// Prepares a restored file: it prevents reuse of all ids that this process knows, and sets a new generation.
  func beginAnew(from generation: [UInt8]) throws(QudoError) {
    try infoTable.renewGeneration(generation, highestID: connection.highestCommitted)
  }
}
