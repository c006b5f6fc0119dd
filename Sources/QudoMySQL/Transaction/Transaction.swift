#if MySQL
internal import Qudo

/// The transaction of a verb. It collects writes until something must be read, or until the commit, so it
/// takes as few round trips as possible.
///
/// The text of the first round trip takes the server's time, as `@n`; the text of the last one ends with
/// COMMIT. Every statement has a cost, whatever it does, so there is no START TRANSACTION: the connection
/// does not commit by itself.
final class Transaction {
  /// The work that is left after the commit.
  struct Effects {
    /// Whether workers may have something to claim.
    var wakes = false
    /// The highest id of a new job.
    var highest: Int64?
  }

  enum Phase {
    case waiting, begun
    /// COMMIT was sent, but not answered yet.
    case committing
    case done
  }

  /// Microseconds since 1970, whatever the session's time zone is: UTC never repeats an hour.
  static let serverTime: SQL = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"

  let connection: Connection
  let kinds: KindCache
  let cursors: Locked<ScanCursors>
  /// The expression for the time.
  let time: SQL
  private(set) var phase = Phase.waiting
  private var writes: [Write] = []
  private var started: Timestamp?
  /// Whether `@n` is still to be set.
  private var needsTime = true
  /// The numbers of the kinds that this transaction uses.
  var numbers: [Kind: Int64] = [:]
  /// The number of the kind requested last: usually the next kind is the same.
  var lastNumber: (kind: Kind, number: Int64)?
  var effects = Effects()
  var wakes: Bool {
    get { effects.wakes }
    set { effects.wakes = newValue }
  }

  /// The token that identifies this transaction.
  let receipt: CommitToken
  /// The token of the transaction that this one repeats because its connection was lost during the commit.
  let lost: CommitToken?
  let lifetimes: ReceiptLifetimes
  /// Whether the repeated transaction was committed after all.
  var isConfirmed = false
  /// Whether something was written that needs a commit token.
  private(set) var hasWritten = false
  /// Whether the commit writes without a commit token: the transaction may be repeated whatever became of it.
  private var writesWithoutToken = false
  /// Whether an earlier attempt at the transaction failed.
  let isRepeated: Bool
  /// Whether a statement has changed fewer rows than it must, so that the transaction first looks which jobs
  /// exist.
  private(set) var isCareful: Bool
  /// The number of idempotency keys that were stored.
  var keyCount = 0
  /// The concurrency keys that this transaction has locked.
  var lockedKeys: [NumberedKey: LockedKey] = [:]
  /// The concurrency keys of jobs that this transaction has locked; nil for a job without one.
  var keyOfJob: [Int64: NumberedKey?] = [:]
  /// The held jobs that are admitted and not written yet.
  var admitted: [Candidate] = []
  /// Those that are written.
  var noLongerHeld: [Int64: Candidate] = [:]
  /// Whether this transaction has admitted held jobs.
  var hasAdmitted = false
  /// Whether the commit is refused if any concurrency key has a rate.
  var refusesKeyRates = false

  /// - Parameters:
  ///   - time: The expression for the transaction's time: the server's, unless a test replaces it.
  ///   - book: The numbering of the pooled connection.
  ///   - lost: The token of the transaction that this one repeats.
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

  /// Sets `@n` after a ``Clock/column(_:of:)`` was read. Call this before a statement uses `@n`.
  func useTime() {
    guard needsTime, let started else { return }
    needsTime = false
    write("SET @n = \(started.microseconds)")
  }

  /// Lets a statement set `@n` itself, if no other statement has set it or needs it earlier. That saves a
  /// statement.
  ///
  /// - Returns: The expression for the time; nil if `@n` is set, or must be set by a separate statement.
  func takeTime() -> SQL? {
    guard needsTime, started == nil, writes.isEmpty, connection.setsInStatements else { return nil }
    needsTime = false
    return time
  }

  /// Locks rows, asks for the time again, since the lock may have taken long, and then reads.
  ///
  /// - Returns: The rows of each statement, those of the lock first.
  func lock(_ statement: SQL, thenReading statements: [SQL]) throws(QudoError) -> [Rows] {
    var rows = try read([statement, "SET @n = \(time)", "SELECT @n"] + statements)
    // A SELECT that the server was told to stop may return no rows: see ``Write``.
    guard let row = rows.remove(at: 1).next() else { throw .short(0, 1) }
    started = Timestamp(microseconds: row.integer(0))
    return rows
  }

  /// The server's time, which is known after the first read.
  var now: Timestamp { started ?? Timestamp(microseconds: 0) }

  /// - Parameters:
  ///   - count: The number of rows that the statement must change; otherwise nothing is committed. Nil for a
  ///     statement that does not search for its rows, or whose count does not matter.
  ///   - then: Receives the result before the transaction ends.
  func write(_ sql: SQL, count: Int? = nil, then: ((StatementResult) -> Void)? = nil) {
    write(Write(sql, count: count, then: then))
  }

  func write(_ write: Write) { writes.append(write) }

  /// Sends the collected writes, and then reads.
  ///
  /// - Parameter clock: The position of the time, if one of the statements returns it.
  /// - Returns: The rows of each statement.
  func read(_ statements: [SQL], clock: Clock? = nil) throws(QudoError) -> [Rows] {
    try flush(statements, clock: clock, commits: false)
  }

  /// The position of the time in the results of the first statements that read.
  enum Clock {
    /// The first column of the only row of this statement, which reads `@n`.
    case statement(Int)
    /// This column of the first row of this statement, if it returns any. The statement takes the time
    /// itself, so no earlier statement may use `@n`. See ``Transaction/time``.
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
    /// Returns the position after `count` more statements.
    func behind(_ count: Int) -> Clock {
      switch self {
      case .statement(let index): .statement(index + count)
      case .column(let column, let index): .column(column, of: index + count)
      }
    }
  }

  func read(_ statement: SQL) throws(QudoError) -> Rows {
    guard let rows = try read([statement]).first else {
      throw QudoError(.database, "a query returned no result set")
    }
    return rows
  }

  /// Reads with one statement, in a transaction that ends with it. It sees what was committed when it began.
  func look(_ statement: SQL) throws(QudoError) -> Rows {
    let rows = try lookOnce(statement)
    // A SELECT that the server was told to stop may return no rows: see ``Write``.
    return rows.count == 0 ? try lookOnce(statement) : rows
  }

  /// Reads with several statements, in a transaction of their own. All of them see what was committed at one
  /// moment.
  ///
  /// - Parameter before: Statements that read earlier than that.
  /// - Returns: The rows of each statement.
  func look(_ statements: [SQL], after before: [SQL]) throws(QudoError) -> [Rows] {
    // "SET TRANSACTION without any SESSION or GLOBAL keyword: applies only to the next single transaction".
    let start: [SQL] = [
      "COMMIT", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
      "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", "SET @n = \(time)",
    ]
    let rows = try connection.run(before + start + statements + ["COMMIT"]).compactMap(\.rows)
    guard rows.count == before.count + statements.count else {
      throw QudoError(.database, "a query returned no result set")
    }
    return rows
  }

  private func lookOnce(_ statement: SQL) throws(QudoError) -> Rows {
    let results = try connection.run(["SET @n = \(time)", statement, "COMMIT"])
    guard let rows = results[1].rows else {
      throw QudoError(.database, "a query returned no result set")
    }
    return rows
  }

  /// Sends the collected writes, reads, and commits.
  @discardableResult
  func commit(reading statements: [SQL] = [], leavingReceipt: Bool = true) throws(QudoError) -> [Rows] {
    writesWithoutToken = !leavingReceipt && (hasWritten || !writes.isEmpty)
    hasWritten = leavingReceipt && (hasWritten || !writes.isEmpty)
    if hasWritten {
      let condition = refusesKeyRates ? KeyRateRows.noneHasOne : nil
      if receipt.inserts.isEmpty {
        write(receipt.write(at: started, if: condition))
      } else if let condition {
        write(Write.checkWithoutLocks("NOT COALESCE(\(condition), 0)"))
      }
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
    // A transaction that only writes need not know the time.
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

  /// - Parameter checked: Whether the server compares the counts, because it commits before the client can do
  ///   so.
  /// - Returns: The statements, and the positions of the writes among them.
  private static func texts(_ writes: [Write], checked: Bool) -> ([SQL], [Int]) {
    var texts: [SQL] = []
    var places: [Int] = []
    // The number of rows that the last write must have changed.
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

  /// Rolls back, and begins the transaction again: at another time, with other rows.
  func startAgain() throws(QudoError) {
    try connection.run("ROLLBACK")
    isCareful = true
    (phase, started, needsTime, writes, hasWritten) = (.waiting, nil, true, [], false)
    (lockedKeys, keyOfJob, admitted, noLongerHeld, hasAdmitted) = ([:], [:], [], [:], false)
    refusesKeyRates = false
  }

  /// Whether the transaction may have been committed although its answer was lost: the connection was lost,
  /// the server reported "got error during COMMIT", or the server was told to stop the COMMIT, which MySQL
  /// reports even if the COMMIT took effect.
  func loses(_ error: QudoError) -> Bool {
    (hasWritten || isConfirmed) && losesCommit(error)
  }

  /// Whether the same is true of a transaction that leaves no commit token. The driver repeats it; if that fails, the outcome is unknown.
  func losesWithoutToken(_ error: QudoError) -> Bool { writesWithoutToken && losesCommit(error) }

  private func losesCommit(_ error: QudoError) -> Bool {
    guard phase == .committing, let cause = error.mysql else { return false }
    return cause.isOfConnection || cause.code == 1180 || cause.isOfStop && connection.isAtLast
  }

  /// Rolls back after an error that left the connection usable.
  func rollBack() throws(QudoError) {
    guard phase != .done else { return }
    try connection.run("ROLLBACK")
    phase = .done
  }
}
#endif
