#if MySQL
internal import Qudo

/// For how long receipts are kept, in microseconds.
struct ReceiptLifetimes {
  /// Those of transactions: longer than a call can go on.
  var transactions: Int64 = 60_000_000
  /// Those of idempotency keys.
  var keys: Int64 = 86_400_000_000
}

/// What numbers the transactions of a lane, which come one after the other.
struct CommitTokenStore {
  /// How many receipts come before the old ones go.
  static let most: Int64 = 64

  /// Of the lane: nobody else's.
  let name: [UInt8] = (0..<16).map { _ in UInt8.random(in: 0...255) }
  /// Of the last one that was committed.
  var number: Int64 = 0

  var forget: SQL { "DELETE FROM qudo_lane WHERE lane = \(name)" }
}

/// What tells whether a transaction was committed whose answer was lost.
///
/// Each transaction of a lane that writes leaves a row with its number: that of the one before, and one more. A transaction whose
/// connection is lost during the commit is repeated under the same number: of the two only one can be committed, whenever the other one
/// comes to life, as the key is in the table already, and the repetition sees by the row whether it was done.
///
/// Those before it are known to be done, and are deleted many at a time, as one range: one row for each lane, which was changed each
/// time, cost the server half as much again, and a row under a key of its own, with an index by time, twice that. After a loss the lane
/// goes on under another name, so that what is looked for stays until its time is over.
final class CommitToken {
  private let pooled: [UInt8]
  let number: Int64
  /// For how long it is kept, in microseconds: longer than a driver tries again.
  private let lifetime: Int64
  /// The inserts that left a receipt of their own, with the first id.
  private(set) var inserts: [(answer: InsertAnswer, count: Int)] = []
  /// What else is to be answered.
  var inserted: InsertAnswer?
  var settled: SettleAnswer?
  var claimed: ClaimedRows?
  var replayed: [() -> ReplayResult] = []

  /// - Parameter lost: of the transaction that is repeated.
  init(_ book: CommitTokenStore, after lost: CommitToken?, lifetime: Int64) {
    pooled = lost?.pooled ?? book.name
    number = lost?.number ?? book.number + 1
    self.lifetime = lifetime
  }

  /// Follows the INSERT of `count` jobs.
  func write(_ answer: InsertAnswer, _ count: Int) -> Write {
    inserts.append((answer, count))
    return write(part: inserts.count - 1, job: "LAST_INSERT_ID()", time: "@n")
  }

  /// For a transaction that inserts nothing.
  ///
  /// - Parameter time: nil for `@n`.
  func write(at time: Timestamp?) -> Write {
    write(part: 0, job: "0", time: time.map { "\($0.microseconds)" } ?? "@n")
  }

  /// If it is there already, the statement fails, and no statement comes after one that failed, COMMIT neither.
  private func write(part: Int, job: SQL, time: SQL) -> Write {
    Write(
      "INSERT INTO qudo_lane(lane, number, part, job, expires) VALUES(\(pooled), \(number), ",
      holding: "\(part)",
      ", \(job), \(time) + \(lifetime))")
  }

  /// Takes earlier receipts away when it is time to: whoever asks for this one has heard of those.
  var forgetEarlier: SQL? {
    guard number.isMultiple(of: CommitTokenStore.most) else { return nil }
    // From below, or it would step over all that a snapshot of somebody's keeps in the index.
    return
      "DELETE FROM qudo_lane WHERE lane = \(pooled) AND number >= \(number - 2 * CommitTokenStore.most) AND number < \(number)"
  }

  /// Waits for the transaction if it is still being committed.
  var look: SQL { "SELECT part, job FROM qudo_lane WHERE lane = \(pooled) AND number = \(number) FOR UPDATE" }

  /// Takes the ids of what was inserted.
  ///
  /// - Returns: whether the transaction was committed.
  func confirm(_ rows: Rows) throws(QudoError) -> Bool {
    var first: [Int64: Int64] = [:]
    try rows.forEach { row throws(QudoError) in first[row.integer(0)] = row.integer(1) }
    guard first[0] != nil else { return false }
    var isWhole: Set<ObjectIdentifier> = []
    for (index, insert) in inserts.enumerated() {
      guard let start = first[Int64(index)], start < .max - Int64(insert.count) else {
        throw QudoError(.corrupt, "a receipt is missing: the tables were changed by others")
      }
      // Of answers that came before the connection was lost the ids are known.
      if isWhole.insert(ObjectIdentifier(insert.answer)).inserted { insert.answer.ids = [] }
      insert.answer.ids += start..<start + Int64(insert.count)
    }
    return true
  }
}

extension Transaction {
  /// Whether the transaction that this one repeats was committed after all. Its receipt has the answers then.
  func wasCommitted() throws(QudoError) -> CommitToken? {
    guard let lost else { return nil }
    guard try lost.confirm(try read(lost.look)) else { return nil }
    isConfirmed = true
    try commit()
    return lost
  }

  /// Deletes receipts, of idempotency keys and of lanes that are gone, whose time is over, but not those that others have locked.
  func pruneReceipts(atMost count: Int) throws(QudoError) {
    // There are some for each connection: they have no index by time, which each transaction would pay for.
    let found = try read([
      "SELECT id FROM qudo_receipt WHERE expires <= @n ORDER BY expires LIMIT \(count) FOR UPDATE SKIP LOCKED",
      "SELECT lane, number, part FROM qudo_lane WHERE expires <= @n LIMIT \(count) FOR UPDATE SKIP LOCKED",
    ])
    for part in found[0].map({ $0.bytes(0) }).parts() {
      write("DELETE FROM qudo_receipt WHERE id IN (\(part.map { id -> SQL in "\(id)" }.joined(",")))")
    }
    var places = PointPredicate()
    for row in found[1].map({ (pooled: $0.bytes(0), number: $0.integer(1), part: $0.integer(2)) }) {
      places.add(range: "lane = \(row.pooled) AND number = \(row.number) AND part = \(row.part)", count: 1)
    }
    for condition in places.conditions { write("DELETE FROM qudo_lane WHERE \(condition)") }
    try commit(leavingReceipt: false)
  }
}
#endif
