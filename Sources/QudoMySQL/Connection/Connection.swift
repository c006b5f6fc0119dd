#if MySQL
internal import CMariaDB
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A libmariadb connection, used by one thread at a time. Automatic reconnect is off: after a lost
/// transaction, it would let COMMIT succeed without committing anything.
final class Connection {
  let handle: UnsafeMutablePointer<MYSQL>
  /// The maximum length of a text that combines several statements.
  var longest = 1 << 20
  /// Whether a statement may set a variable in addition to its other work. MySQL warns, since 8.0.13:
  /// "Setting user variables within expressions is deprecated and will be removed in a future release";
  /// MariaDB does not.
  var setsInStatements = false
  /// The longest packet that the server accepts.
  var packet = 1 << 20

  /// Receives each statement before it is sent; for tests.
  var observer: ((SQL) -> Void)?
  /// Returns the bytes to send instead of a statement; for tests.
  var replacing: ((SQL) -> [UInt8])?
  /// The number of round trips so far.
  var roundTrips = Locked(0)

  /// Whether the outcome of everything sent is known. If not, the connection is not used again.
  private(set) var isSound = true
  /// Whether the last text failed at its last statement, or at an unknown one: the last statement may have
  /// taken effect.
  private(set) var isAtLast = false

  /// The text to send next. The buffer is kept, because so much memory is usually new to the process and must
  /// be cleared first.
  private var text: [UInt8] = []

  /// Takes ownership of the handle.
  init(_ handle: UnsafeMutablePointer<MYSQL>) { self.handle = handle }
  deinit {
    if let (watch, wait) = watched {
      wait.close()
      watch.remove(wait)
    }
    mysql_close(handle)
  }

  private var watched: (watch: SessionWatch, wait: Wait)?

  /// Registers the connection with the watch. Call this once, when it is connected.
  func beWatched(by watch: SessionWatch) {
    let wait = Wait(socket: mysql_get_socket(handle), session: Int64(mysql_thread_id(handle)))
    watch.add(wait)
    watched = (watch, wait)
  }

  var error: MySQLError {
    MySQLError(
      code: mysql_errno(handle), message: mysql_error(handle).map { String(cString: $0) } ?? "unknown")
  }

  @discardableResult
  func run(_ statement: SQL) throws(QudoError) -> StatementResult {
    guard let result = try run([statement]).first else {
      throw QudoError(.database, "a statement returned no result")
    }
    return result
  }

  /// Sends statements in as few packets as possible. The server stops at the first statement that fails.
  ///
  /// - Parameter beforeLast: Called before the last packet is sent.
  /// - Throws: The error of the first statement that failed. The statements before it were executed.
  @discardableResult
  func run(_ statements: [SQL], beforeLast: () -> Void = {}) throws(QudoError) -> [StatementResult] {
    var results: [StatementResult] = []
    results.reserveCapacity(statements.count)
    try run(statements, into: &results, beforeLast: beforeLast)
    return results
  }

  /// Appends the results to `results`, which keeps those of the statements before a failed one.
  func run(_ statements: [SQL], into results: inout [StatementResult], beforeLast: () -> Void = {})
    throws(QudoError)
  {
    text.removeAll(keepingCapacity: text.capacity <= 2 * longest)
    var count = 0
    for statement in statements {
      observer?(statement)
      let bytes = replacing?(statement) ?? statement.bytes
      if !text.isEmpty, text.count + bytes.count + 1 > longest {
        try send(count, into: &results)
        text.removeAll(keepingCapacity: true)
        count = 0
      }
      if !text.isEmpty { text.append(UInt8(ascii: ";")) }
      text += bytes
      count += 1
    }
    beforeLast()
    if count > 0 { try send(count, into: &results) }
  }

  private func send(_ count: Int, into results: inout [StatementResult]) throws(QudoError) {
    roundTrips.withLock { $0 += 1 }
    if count > 1 { watched?.wait.sent() }
    defer { if count > 1 { watched?.wait.isOver() } }
    let sent = text.withUnsafeBufferPointer { buffer in  // unsafe: not kept
      buffer.withMemoryRebound(to: CChar.self) { mysql_real_query(handle, $0.baseAddress, UInt($0.count)) }
    }
    isAtLast = count == 1
    guard sent == 0 else { throw failure() }
    var taken = 0
    if count > 1 { watched?.watch.start() }
    // Fetch every result, even one that no caller uses: otherwise "Commands out of sync".
    while true {
      results.append(try takeResult())
      taken += 1
      isAtLast = taken >= count - 1
      if taken < count { watched?.wait.answered(more: true) }
      let next = mysql_next_result(handle)
      if next > 0 { throw failure() }
      if next < 0 { break }
    }
    guard taken == count else {
      isSound = false
      // Either the server left out the rest, or the network lost its answers: if a connection ends between
      // two answers, the library takes that for the end of the answers. In the second case the COMMIT may
      // have taken effect.
      isAtLast = true
      throw .mysql(
        MySQLError(
          code: MySQLError.interrupted, message: "the server answered \(taken) of \(count) statements"))
    }
  }

  private func failure() -> QudoError {
    var error = error
    if watched?.wait.isEnded == true {
      // Treat this like any other stopped statement, except that a COMMIT may have taken effect: perhaps only
      // the answers were lost.
      error = MySQLError(
        code: MySQLError.interrupted, message: "the server did not answer all statements of a text")
      isAtLast = true
    }
    if error.isOfConnection || error.isOfStop { isSound = false }
    return .mysql(error)
  }

  private func takeResult() throws(QudoError) -> StatementResult {
    if let rows = mysql_store_result(handle) { return StatementResult(rows: Rows(rows)) }
    guard mysql_field_count(handle) == 0 else { throw failure() }
    return StatementResult(
      affected: Int(clamping: mysql_affected_rows(handle)), insertID: Int64(clamping: mysql_insert_id(handle))
    )
  }

  /// Whether the session is in the state between two transactions, according to the last answer.
  var isBetweenTransactions: Bool {
    let status = handle.pointee.server_status
    return status & UInt32(SERVER_STATUS_IN_TRANS) == 0 && status & UInt32(SERVER_STATUS_AUTOCOMMIT) == 0
  }

  var socket: Int32 { Int32(truncatingIfNeeded: mysql_get_socket(handle)) }

  /// The state of the socket while no answer is due.
  enum SocketState {
    case holds
    /// The server has sent something, perhaps a farewell.
    case isBroken
    /// The server has closed the connection.
    case isOver
  }

  /// Checks the socket, without a round trip. If the server died since the last call, this notices it before
  /// anything is sent whose outcome would then be unknown.
  var silence: SocketState {
    var byte: UInt8 = 0
    let count = recv(mysql_get_socket(handle), &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    if count > 0 { return .isBroken }
    return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? .holds : .isOver
  }
}
#endif
