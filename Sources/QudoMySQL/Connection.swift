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

/// A connection of libmariadb, used by one thread at a time. Automatic reconnect is off: it would make a COMMIT of
/// nothing out of a lost transaction.
final class Connection {
  let handle: UnsafeMutablePointer<MYSQL>
  /// The longest text that is put together of several statements.
  var longest = 1 << 20
  /// Whether a statement may set a variable beside what else it does. MySQL warns, since 8.0.13: "Setting user variables within expressions
  /// is deprecated and will be removed in a future release"; MariaDB does not.
  var setsInStatements = false
  /// The longest packet that the server takes.
  var packet = 1 << 20

  /// Hears of each statement before it is sent; for tests.
  var observer: ((SQL) -> Void)?
  /// Says what is sent instead of a statement; for tests.
  var replacing: ((SQL) -> [UInt8])?
  /// How often the server was asked and has answered.
  var roundTrips = Locked(0)

  /// Whether it is known what the server has done of what it was sent. A connection of which that is not known is not used again.
  private(set) var isSound = true
  /// Whether the last text failed at its last statement, or it is not known at which one: the last one may be done.
  private(set) var isAtLast = false

  /// What is sent next. It is kept, since memory for so much is most often new to the process, and has to be cleared.
  private var text: [UInt8] = []

  /// Takes the handle over.
  init(_ handle: UnsafeMutablePointer<MYSQL>) { self.handle = handle }
  deinit {
    if let (watch, wait) = watched {
      wait.close()
      watch.remove(wait)
    }
    mysql_close(handle)
  }

  private var watched: (watch: SessionWatch, wait: Wait)?

  /// To be called when it is connected, once.
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
      throw QudoError(.database, "a statement was left without a result")
    }
    return result
  }

  /// Sends statements in as few packets as they fit in. The server stops at the first one that fails.
  ///
  /// - Parameter beforeLast: called before the last packet is sent.
  /// - Throws: what the first one that failed came to; those before it were executed.
  @discardableResult
  func run(_ statements: [SQL], beforeLast: () -> Void = {}) throws(QudoError) -> [StatementResult] {
    var results: [StatementResult] = []
    results.reserveCapacity(statements.count)
    try run(statements, into: &results, beforeLast: beforeLast)
    return results
  }

  /// Keeps the results of the statements before the one that failed.
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
    // Each result is taken, even when nobody wants it: "Commands out of sync" otherwise.
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
      // The server has left out the rest, or the network has lost its answers: a connection that ends between two of them looks to the
      // library like the end of the answers. Then the COMMIT may be done.
      isAtLast = true
      throw .mysql(
        MySQLError(
          code: MySQLError.interrupted, message: "the server answered \(taken) of \(count) statements"))
    }
  }

  private func failure() -> QudoError {
    var error = error
    if watched?.wait.isEnded == true {
      // A stop like any other, but for a COMMIT: it may be that the answers were lost and not the statements.
      error = MySQLError(code: MySQLError.interrupted, message: "the server left out answers to a text")
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

  /// Whether the session is as a transaction leaves it and the next one needs it, as the last answer has it.
  var isBetweenTransactions: Bool {
    let status = handle.pointee.server_status
    return status & UInt32(SERVER_STATUS_IN_TRANS) == 0 && status & UInt32(SERVER_STATUS_AUTOCOMMIT) == 0
  }

  var socket: Int32 { Int32(truncatingIfNeeded: mysql_get_socket(handle)) }

  /// What the server has sent although it was asked for nothing.
  enum SocketState {
    case holds
    /// It has said something, perhaps farewell.
    case isBroken
    /// It has closed the connection.
    case isOver
  }

  /// Costs no round trip. A server that died since the last call is known here, before anything is sent of which it would not be
  /// known whether it was done.
  var silence: SocketState {
    var byte: UInt8 = 0
    let count = recv(mysql_get_socket(handle), &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    if count > 0 { return .isBroken }
    return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? .holds : .isOver
  }
}
#endif
