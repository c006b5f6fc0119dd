#if MySQL
internal import Qudo

/// For how long receipts are kept, in microseconds.
struct ReceiptLifetimes {
  /// Those of transactions: longer than a call can go on.
  var transactions: Int64 = 60_000_000
  /// Those of idempotency keys.
  var keys: Int64 = 86_400_000_000
}

/// What tells whether a transaction was committed whose answer was lost.
///
/// Each transaction that writes leaves a receipt, under a number of its own, and is repeated under the same number when its
/// connection is lost during the commit: of the two only one can be committed, and the other one finds the receipt.
final class Receipt {
  private let number: [UInt8]
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
  init(after lost: Receipt?, lifetime: Int64) {
    number = lost?.number ?? (0..<16).map { _ in UInt8.random(in: 0...255) }
    self.lifetime = lifetime
  }

  /// The first one is that of the transaction.
  private func id(_ insert: Int) -> [UInt8] {
    var id = number
    for index in 0..<8 { id[8 + index] ^= UInt8(truncatingIfNeeded: insert >> (56 - 8 * index)) }
    return id
  }

  /// Follows the INSERT of `count` jobs.
  func row(_ answer: InsertAnswer, _ count: Int) -> SQL {
    inserts.append((answer, count))
    return "(\(id(inserts.count - 1)), LAST_INSERT_ID(), @n + \(lifetime))"
  }

  /// For a transaction that inserts nothing.
  var row: SQL { "(\(id(0)), 0, @n + \(lifetime))" }

  static func write(_ rows: [SQL]) -> SQL { "INSERT INTO qudo_receipt(id, job, expires) VALUES\(rows.joined(","))" }

  /// Waits for the transaction if it is still being committed.
  var look: SQL {
    let ids = (0..<max(inserts.count, 1)).map { index -> SQL in "\(id(index))" }.joined(",")
    return "SELECT id, job FROM qudo_receipt WHERE id IN (\(ids)) FOR UPDATE"
  }

  /// Takes the ids of what was inserted.
  ///
  /// - Returns: whether the transaction was committed.
  func confirm(_ rows: Rows) throws(QudoError) -> Bool {
    var first: [[UInt8]: Int64] = [:]
    try rows.forEach { row throws(QudoError) in first[row.bytes(0)] = row.integer(1) }
    guard !first.isEmpty else { return false }
    var isWhole: Set<ObjectIdentifier> = []
    for (index, insert) in inserts.enumerated() {
      guard let start = first[id(index)], start < .max - Int64(insert.count) else { throw QudoError(.corrupt, "a receipt is missing: the tables were changed by others") }
      // Of answers that came before the connection was lost the ids are known.
      if isWhole.insert(ObjectIdentifier(insert.answer)).inserted { insert.answer.ids = [] }
      insert.answer.ids += start..<start + Int64(insert.count)
    }
    return true
  }
}

extension Transaction {
  /// Whether the transaction that this one repeats was committed after all. Its receipt has the answers then.
  func wasCommitted() throws(QudoError) -> Receipt? {
    guard let lost else { return nil }
    guard try lost.confirm(try read(lost.look)) else { return nil }
    isConfirmed = true
    try commit()
    return lost
  }

  /// Deletes receipts, of transactions and of idempotency keys, whose time is over, but not those that others have locked.
  func pruneReceipts(atMost count: Int) throws(QudoError) {
    let old = try read(
      "SELECT id FROM qudo_receipt WHERE expires <= @n ORDER BY expires LIMIT \(count) FOR UPDATE SKIP LOCKED").map { $0.bytes(0) }
    for part in old.parts() {
      write("DELETE FROM qudo_receipt WHERE id IN (\(part.map { id -> SQL in "\(id)" }.joined(",")))")
    }
    try commit(leavingReceipt: false)
  }
}
#endif
