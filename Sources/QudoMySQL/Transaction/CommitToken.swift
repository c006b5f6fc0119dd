#if MySQL
internal import Qudo

/// The lifetimes of commit tokens and idempotency keys, in microseconds.
struct ReceiptLifetimes {
  /// The lifetime of commit tokens, which is longer than any call lasts.
  var transactions: Int64 = 60_000_000
  /// The lifetime of idempotency keys.
  var keys: Int64 = 86_400_000_000
}

/// The numbering of a pooled connection's transactions, which run one after the other.
struct CommitTokenStore {
  /// The number of commit tokens after which the earlier ones are deleted.
  static let most: Int64 = 64

  /// The random name of this pooled connection in `qudo_lane`.
  let name: [UInt8] = (0..<16).map { _ in UInt8.random(in: 0...255) }
  /// The number of the last committed transaction.
  var number: Int64 = 0

  var forget: SQL { "DELETE FROM qudo_lane WHERE lane = \(name)" }
}

/// A row that proves whether a transaction was committed whose answer was lost.
///
/// Each transaction that writes leaves a row with its number, which is one above the pooled connection's
/// previous number. If the connection is lost during the commit, the transaction is repeated under the same
/// number. Only one of the two can be committed, even if the server executes the first one late, because the
/// later one finds the key taken. The repetition learns from the row whether the first one was committed.
///
/// The answers of all earlier transactions have arrived, so their rows are deleted many at a time, as one
/// range. A single row per pooled connection, changed by each transaction, cost the server half as much
/// again. A row under a key of its own, with an index by time, cost twice that. After a loss, the pooled
/// connection continues under another name, so that the row in question stays until it expires.
final class CommitToken {
  private let pooled: [UInt8]
  let number: Int64
  /// How long the row is kept, in microseconds: longer than the driver keeps trying.
  private let lifetime: Int64
  /// The inserts. Each insert leaves a separate row with its first job id.
  private(set) var inserts: [(answer: InsertAnswer, count: Int)] = []
  /// The other answers of the transaction.
  var inserted: InsertAnswer?
  var settled: SettleAnswer?
  var claimed: ClaimedRows?
  var replayed: [() -> ReplayResult] = []
  var resolved: [Int64: ResolveResult] = [:]
  var cancelled: [Int64: CancelResult] = [:]
  var changed: [Int64: ChangeResult] = [:]
  var recovered: [Int64: RecoverResult] = [:]
  var resumed: [Pause] = []
  var resumedKeys: [KeyStop] = []
  var throttledKey = false
  var stored: [Bool] = []
  var removed: [Bool] = []
  var advanced: [() -> TickResult] = []
  var promoted = 0
  /// How many rows a prune was to delete. Another session may have deleted some of them first.
  var pruned = 0

  /// - Parameter lost: The token of the transaction that this one repeats.
  init(_ book: CommitTokenStore, after lost: CommitToken?, lifetime: Int64) {
    pooled = lost?.pooled ?? book.name
    number = lost?.number ?? book.number + 1
    self.lifetime = lifetime
  }

  /// Returns the statement that follows the INSERT of `count` jobs.
  func write(_ answer: InsertAnswer, _ count: Int) -> Write {
    inserts.append((answer, count))
    return write(part: "\(inserts.count - 1)", job: "LAST_INSERT_ID()", time: "@n")
  }

  /// Returns the statement for a transaction that inserts no jobs.
  ///
  /// - Parameters:
  ///   - time: The time of the transaction; nil for `@n`.
  ///   - condition: An expression without which the transaction is not committed: it is repeated; nil for none.
  func write(at time: Timestamp?, if condition: SQL? = nil) -> Write {
    let time = time.map { "\($0.microseconds)" as SQL } ?? "@n"
    guard let condition else { return write(part: "0", job: "0", time: time) }
    // INSERT ... SELECT reads without locks: "If the transaction isolation level is READ COMMITTED, InnoDB does the search on S as a
    // consistent read (no locks)". INSERT ... VALUES would wait for a row that others change, and then miss it where it has moved to.
    return write(part: "IF(\(condition), 0, NULL)", job: "0", time: time, asQuery: true)
  }

  /// If the row exists already, this statement fails, and the server executes no later statement of the text,
  /// COMMIT included.
  private func write(part: SQL, job: SQL, time: SQL, asQuery: Bool = false) -> Write {
    Write(
      "INSERT INTO qudo_lane(lane, number, part, job, expires) \(asQuery ? "SELECT " : "VALUES(" as SQL)\(pooled), \(number), ",
      holding: part,
      ", \(job), \(time) + \(lifetime)\(asQuery ? "" : ")" as SQL)")
  }

  /// The statement that deletes earlier rows when there are enough of them. A caller that waits for this
  /// transaction has received the answers of the earlier ones.
  var forgetEarlier: SQL? {
    guard number.isMultiple(of: CommitTokenStore.most) else { return nil }
    // Without a lower limit, the scan would step over all entries that another session's snapshot keeps in
    // the index.
    return
      "DELETE FROM qudo_lane WHERE lane = \(pooled) AND number >= \(number - 2 * CommitTokenStore.most) AND number < \(number)"
  }

  /// The query for the rows. It waits for the transaction if that is still being committed.
  var look: SQL { "SELECT part, job FROM qudo_lane WHERE lane = \(pooled) AND number = \(number) FOR UPDATE" }

  /// Takes over the ids of the inserted jobs.
  ///
  /// - Returns: Whether the transaction was committed.
  func confirm(_ rows: Rows) throws(QudoError) -> Bool {
    var first: [Int64: Int64] = [:]
    try rows.forEach { row throws(QudoError) in first[row.integer(0)] = row.integer(1) }
    guard first[0] != nil else { return false }
    var isWhole: Set<ObjectIdentifier> = []
    for (index, insert) in inserts.enumerated() {
      guard let start = first[Int64(index)], start < .max - Int64(insert.count) else {
        throw QudoError(.corrupt, "a commit token is missing: another program modified the tables")
      }
      // Answers that arrived before the connection was lost have their ids already: replace those.
      if isWhole.insert(ObjectIdentifier(insert.answer)).inserted { insert.answer.ids = [] }
      insert.answer.ids += start..<start + Int64(insert.count)
    }
    return true
  }
}

extension Transaction {
  /// Checks whether the transaction that this one repeats was committed after all. If so, returns its token,
  /// which has the answers.
  func wasCommitted() throws(QudoError) -> CommitToken? {
    guard let lost else { return nil }
    guard try lost.confirm(try read(lost.look)) else { return nil }
    isConfirmed = true
    try commit()
    return lost
  }

  /// Deletes expired idempotency keys, ended rests of unique keys, full buckets of concurrency keys without a rate, and expired commit
  /// tokens of closed connections. It skips rows that other sessions have locked.
  func pruneReceipts(atMost count: Int) throws(QudoError) {
    // Each connection leaves only a few commit tokens, so they have no index by time, which every transaction
    // would pay for.
    let found = try read([
      "SELECT id FROM qudo_receipt WHERE expires <= @n ORDER BY expires LIMIT \(count) FOR UPDATE SKIP LOCKED",
      "SELECT lane, number, part FROM qudo_lane WHERE expires <= @n LIMIT \(count) FOR UPDATE SKIP LOCKED",
      Self.endedRests(atMost: count), KeyRateRows.full(atMost: count),
    ])
    deleteBuckets(found[3])
    deleteRests(of: found[2].map { $0.integer(0) })
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
