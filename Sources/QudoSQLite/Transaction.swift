internal import Qudo

/// What a verb works with, inside a transaction that it may share with others.
struct Transaction {
  /// What is still to be done before or after the commit.
  final class Effects {
    /// Workers may have something to claim.
    var wakes = false
    /// Stored jobs that are still to be put with the ready.
    var ready = ReadyRange()
    /// Jobs whose lease had expired, of the claim that is at work: those that it gave up, and how many it made ready.
    var givenUp: [GivenUpJob] = []
    var recovered = 0
    /// An answer tells of a job that others have written, which may not be on the disk yet.
    var tellsOfOthers = false
    fileprivate var storesHighestID = false

    /// What the next claim in the same transaction must not tell again.
    func takeRecovered() -> (givenUp: [GivenUpJob], recovered: Int) {
      defer { (givenUp, recovered) = ([], 0) }
      return (givenUp, recovered)
    }
  }

  let connection: Connection
  let now: ClockReading
  /// Tells which holders of leases are alive; nil on a connection of the application's, which claims nothing.
  let locks: KernelLocks?
  let effects: Effects
  /// How long the receipts of idempotency keys are kept.
  let receiptLifetime: Duration

  /// Before the commit.
  func finish() throws(QudoError) {
    try insertCollectedReady()
    guard effects.storesHighestID else { return }
    try connection.run("UPDATE qudo_info SET value = ? WHERE key = 'highest_id'", .integer(try highestID()))
  }
}

// Ids are never reused. AUTOINCREMENT would write a page of its own in each commit for that; here the highest id is known
// to the connection, and written only when the job that has it goes.
extension Transaction {
  /// An id that no job has ever had.
  func nextID() throws(QudoError) -> Int64 {
    let highest = try highestID()
    guard highest < .max else { throw QudoError(.corrupt, "no id is left: the file was changed by others") }
    connection.hints.highestID = highest + 1
    // The job that has it keeps it in mind.
    effects.storesHighestID = false
    return highest + 1
  }

  /// To be called before jobs are deleted for good.
  func willDelete(highest id: Int64) throws(QudoError) {
    if id >= (try highestID()) { effects.storesHighestID = true }
  }

  /// The highest id that was ever given to a job.
  private func highestID() throws(QudoError) -> Int64 {
    if let known = connection.hints.highestID { return known }
    return try readIdentity().highestID
  }

  private func readIdentity() throws(QudoError) -> (highestID: Int64, generation: [UInt8]) {
    var found: (highestID: Int64, generation: [UInt8])?
    try connection.each(
      """
      SELECT max(coalesce((SELECT max(id) FROM qudo_job), 0), (SELECT value FROM qudo_info WHERE key = 'highest_id')),
        (SELECT value FROM qudo_info WHERE key = 'generation')
      """
    ) { row throws(QudoError) in if let highest = try row.number(0) { found = (highest, row.blob(1)) } }
    guard let found else { throw QudoError(.corrupt, "the row of the highest id is missing from qudo_info") }
    connection.hints.highestID = found.highestID
    return found
  }

  /// When others have changed the file: that it is still the one that was opened, and goes on where it was left. A restore by
  /// SQLite's own means is a transaction like any other.
  ///
  /// - Throws: ``QudoError/Code/databaseReplaced``.
  func checkIdentity(_ generation: [UInt8]) throws(QudoError) {
    let found = try readIdentity()
    guard found.generation == generation else { throw .replaced("it has another generation") }
    guard found.highestID < connection.highestCommitted else { return }
    guard try isNamed(above: found.highestID) else { throw .replaced("ids that were given are unknown to it") }
    connection.hints.highestID = connection.highestCommitted
    effects.storesHighestID = true
  }

  /// Whether a row still says where a job with a higher id is: then somebody has deleted that job by SQL, where a restored file would
  /// have neither.
  private func isNamed(above id: Int64) throws(QudoError) -> Bool {
    try connection.integer(
      """
      SELECT EXISTS(SELECT 1 FROM qudo_ready WHERE last > ?1) OR EXISTS(SELECT 1 FROM qudo_delayed WHERE id > ?1)
        OR EXISTS(SELECT 1 FROM qudo_running WHERE last > ?1)
      """, .integer(id)) == 1
  }

  /// After a restore: no id is given again that this process knows of, and what is told apart by the generation is told apart.
  func beginAnew(from generation: [UInt8]) throws(QudoError) {
    try connection.run(
      "UPDATE qudo_info SET value = max(value, ?) WHERE key = 'highest_id'", .integer(connection.highestCommitted))
    try connection.run(
      "UPDATE qudo_info SET value = randomblob(16) WHERE key = 'generation' AND value = ?", .blob(generation))
  }
}
