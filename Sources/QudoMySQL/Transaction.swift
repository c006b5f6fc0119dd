#if MySQL
internal import Qudo

/// What a verb works with. What it writes waits until something must be read, or until the commit, so that it costs as
/// few round trips as can be.
///
/// The text of the first round trip takes the server's time, as `@n`; that of the last one ends with COMMIT. Each statement costs,
/// whatever it does: there is no START TRANSACTION, since the connection does not commit by itself.
final class Transaction {
  /// What is still to be done after the commit.
  struct Effects {
    /// Workers may have something to claim.
    var wakes = false
    /// The highest id of a new job.
    var highest: Int64?
  }

  enum Phase {
    case waiting, begun
    /// COMMIT is on its way.
    case committing
    case done
  }

  /// Microseconds since 1970, whatever the session's time zone is: UTC has no hour twice.
  static let serverTime: SQL = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"

  let connection: Connection
  let kinds: KindCache
  let cursors: Locked<ScanCursors>
  /// What takes the time.
  let time: SQL
  private(set) var phase = Phase.waiting
  private var writes: [Write] = []
  private var started: Timestamp?
  /// Whether `@n` is still to be set.
  private var needsTime = true
  /// Of kinds that this transaction has to do with.
  var numbers: [Kind: Int64] = [:]
  /// Of the kind that was asked for last: most often the next one is the same.
  var lastNumber: (kind: Kind, number: Int64)?
  var effects = Effects()
  var wakes: Bool {
    get { effects.wakes }
    set { effects.wakes = newValue }
  }

  /// What this transaction will be known by.
  let receipt: CommitToken
  /// Of the transaction that this one repeats, since its connection was lost during the commit.
  let lost: CommitToken?
  let lifetimes: ReceiptLifetimes
  /// Whether that one was committed after all.
  var isConfirmed = false
  /// Whether something was written that needs a receipt.
  private(set) var hasWritten = false
  /// Whether it was tried before, and something was in its way.
  let isRepeated: Bool
  /// Whether a statement has changed fewer rows than it must, so that what is there is looked at first.
  private(set) var isCareful: Bool
  /// How many idempotency keys were written down.
  var keyCount = 0

  /// - Parameters:
  ///   - time: what the time of the transaction is; the server's unless a test says something else.
  ///   - book: the lane's.
  ///   - lost: of the transaction that this one repeats.
  init(
    _ connection: Connection, _ kinds: KindCache, _ cursors: Locked<ScanCursors> = Locked(ScanCursors()),
    time: SQL = Transaction.serverTime,
    book: CommitTokenStore = CommitTokenStore(), after lost: CommitToken? = nil,
    lifetimes: ReceiptLifetimes = ReceiptLifetimes(),
    isRepeated: Bool = false
  ) {
    self.connection = connection
    self.kinds = kinds
    self.cursors = cursors
    self.time = time
    self.lost = lost
    self.lifetimes = lifetimes
    self.isRepeated = isRepeated
    isCareful = isRepeated
    receipt = CommitToken(book, after: lost, lifetime: lifetimes.transactions)
  }

  /// Jobs that become ready.
  var entries = ScanCursors.Entries()

  /// To be called before `@n` is used where a ``Clock/column(_:of:)`` was read.
  func useTime() {
    guard needsTime, let started else { return }
    needsTime = false
    write("SET @n = \(started.microseconds)")
  }

  /// For a statement that sets `@n` itself, where nothing else has set it or needs it before: that saves a statement.
  ///
  /// - Returns: what takes the time; nil if `@n` is there, or is to be set by a statement of its own.
  func takeTime() -> SQL? {
    guard needsTime, started == nil, writes.isEmpty, connection.setsInStatements else { return nil }
    needsTime = false
    return time
  }

  /// The server's time; known when something was read.
  var now: Timestamp { started ?? Timestamp(microseconds: 0) }

  /// - Parameters:
  ///   - count: how many rows it must change, or nothing is committed; nil for a statement that does not look for its rows, or of
  ///     which nothing depends on how many there are.
  ///   - then: told what came of it, before the transaction is over.
  func write(_ sql: SQL, count: Int? = nil, then: ((StatementResult) -> Void)? = nil) {
    write(Write(sql, count: count, then: then))
  }

  func write(_ write: Write) { writes.append(write) }

  /// Writes what waits and then reads.
  ///
  /// - Parameter clock: where the time is, if one of the statements has it.
  /// - Returns: the rows of each of them.
  func read(_ statements: [SQL], clock: Clock? = nil) throws(QudoError) -> [Rows] {
    try flush(statements, clock: clock, commits: false)
  }

  /// Where statements that are read first have the time.
  enum Clock {
    /// As `@n`, in the first column of the one row that this one of them gives.
    case statement(Int)
    /// In this column of the first row that this one of them gives, if it gives any; it takes the time by itself, and nothing
    /// may need `@n` before. See ``Transaction/time``.
    case column(Int, of: Int)

    var statement: Int {
      switch self {
      case .statement(let index), .column(_, of: let index): index
      }
    }
    var column: Int {
      switch self {
      case .statement: 0
      case .column(let column, _): column
      }
    }
    var takesTime: Bool {
      switch self {
      case .statement: false
      case .column: true
      }
    }
    /// With so many statements before.
    func behind(_ count: Int) -> Clock {
      switch self {
      case .statement(let index): .statement(index + count)
      case .column(let column, let index): .column(column, of: index + count)
      }
    }
  }

  func read(_ statement: SQL) throws(QudoError) -> Rows {
    guard let rows = try read([statement]).first else {
      throw QudoError(.database, "a statement that reads gave no rows")
    }
    return rows
  }

  /// Reads with one statement, and ends the transaction that it begins: it sees what was committed when it began.
  func look(_ statement: SQL) throws(QudoError) -> Rows {
    let rows = try lookOnce(statement)
    // A SELECT that the server was told to stop may end as one that finds nothing: see ``Write``.
    return rows.count == 0 ? try lookOnce(statement) : rows
  }

  private func lookOnce(_ statement: SQL) throws(QudoError) -> Rows {
    let results = try connection.run(["SET @n = \(time)", statement, "COMMIT"])
    guard let rows = results[1].rows else {
      throw QudoError(.database, "a statement that reads gave no rows")
    }
    return rows
  }

  /// Writes what waits, reads, and commits.
  @discardableResult
  func commit(reading statements: [SQL] = [], leavingReceipt: Bool = true) throws(QudoError) -> [Rows] {
    hasWritten = leavingReceipt && (hasWritten || !writes.isEmpty)
    if hasWritten {
      if receipt.inserts.isEmpty { write(receipt.write(at: started)) }
      if let forgetEarlier = receipt.forgetEarlier { write(forgetEarlier) }
    }
    return try flush(statements, clock: nil, commits: true)
  }

  private func flush(_ reads: [SQL], clock: Clock?, commits: Bool) throws(QudoError) -> [Rows] {
    if !commits { hasWritten = hasWritten || !writes.isEmpty }
    let writes = writes
    self.writes = []
    if phase == .waiting, writes.isEmpty, reads.isEmpty {
      if commits { phase = .done }
      return []
    }
    var head: [SQL] = []
    if started == nil, needsTime, clock?.takesTime != true {
      head = ["SET @n = \(time)"]
      needsTime = false
    }
    // Who only writes need not know the time.
    let asks = !head.isEmpty && clock == nil && !(commits && reads.isEmpty)
    if asks { head.append("SELECT @n") }
    let (texts, places) = Self.texts(writes, checked: commits)
    let all = head + texts + reads + (commits ? ["COMMIT"] : [])
    phase = .begun
    let results = try connection.run(all) { if commits { self.phase = .committing } }
    for (write, place) in zip(writes, places) {
      let result = results[head.count + place]
      if let count = write.count, result.affected != count { throw .short(result.affected, count) }
      write.then?(result)
    }
    let rows = results.dropFirst(head.count + texts.count).compactMap(\.rows)
    if asks, let row = results[1].rows?.next() { started = Timestamp(microseconds: row.integer(0)) }
    if started == nil, let clock, let row = rows[clock.statement].next() {
      started = Timestamp(microseconds: row.integer(clock.column))
      rows[clock.statement].rewind()
    }
    if commits { phase = .done }
    return rows
  }

  /// - Parameter checked: whether the server is to compare the counts, since it commits before the client can.
  /// - Returns: the statements, and where among them the writes are.
  private static func texts(_ writes: [Write], checked: Bool) -> ([SQL], [Int]) {
    var texts: [SQL] = []
    var places: [Int] = []
    // How many rows the last one must have changed.
    var count: Int?
    for write in writes {
      if checked, let unchecked = count, !write.holdsCheck {
        texts.append(Write.check(unchecked))
        count = nil
      }
      places.append(texts.count)
      texts.append(write.text(checking: checked ? count : nil))
      count = write.count
    }
    if checked, let count { texts.append(Write.check(count)) }
    return (texts, places)
  }

  /// Undoes what was done so far, and begins anew: at another time, with other rows.
  func startAgain() throws(QudoError) {
    try connection.run("ROLLBACK")
    isCareful = true
    (phase, started, needsTime, writes, hasWritten) = (.waiting, nil, true, [], false)
  }

  /// Whether it may have been committed, and the answer was lost: the connection was, "got error during COMMIT", or the server was told to
  /// stop the COMMIT and MySQL says so although it was done.
  func loses(_ error: QudoError) -> Bool {
    guard phase == .committing, hasWritten || isConfirmed, let cause = error.mysql else { return false }
    return cause.isOfConnection || cause.code == 1180 || cause.isOfStop && connection.isAtLast
  }

  /// After an error that left the connection usable.
  func rollBack() throws(QudoError) {
    guard phase != .done else { return }
    try connection.run("ROLLBACK")
    phase = .done
  }
}
#endif
