internal import CSQLite
internal import Qudo

/// Prepared statements of SQLite's C interface, without any layer in between.
final class RawDatabase {
  let handle: OpaquePointer
  private var statements: [OpaquePointer] = []

  init(_ path: String, _ setUp: [String]) throws {
    var handle: OpaquePointer?
    let code = sqlite3_open_v2(
      path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nil)
    guard code == SQLITE_OK, let handle else {
      sqlite3_close_v2(handle)
      throw QudoError(.cannotOpen, "cannot open \(path) for the floor")
    }
    self.handle = handle
    sqlite3_busy_timeout(handle, 30_000)
    for sql in setUp { try run(sql) }
  }

  deinit {
    for statement in statements { sqlite3_finalize(statement) }
    sqlite3_close_v2(handle)
  }

  func prepare(_ sql: String) throws -> OpaquePointer {
    var statement: OpaquePointer?
    let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
    guard code == SQLITE_OK, let statement else { throw failure() }
    statements.append(statement)
    return statement
  }

  func run(_ sql: String) throws {
    guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw failure() }
  }

  /// Runs a statement that returns no rows, or whose rows do not matter.
  @inline(__always)
  func step(_ statement: OpaquePointer) throws {
    var code = sqlite3_step(statement)
    while code == SQLITE_ROW { code = sqlite3_step(statement) }
    sqlite3_reset(statement)
    guard code == SQLITE_DONE else { throw failure() }
  }

  /// Steps a statement. Returns true if there is a row. Reset the statement unless it is stepped to the end.
  @inline(__always)
  func next(_ statement: OpaquePointer) throws -> Bool {
    let code = sqlite3_step(statement)
    if code == SQLITE_ROW { return true }
    sqlite3_reset(statement)
    guard code == SQLITE_DONE else { throw failure() }
    return false
  }

  @inline(__always)
  func bind(_ statement: OpaquePointer, _ position: Int32, _ number: Int64) {
    sqlite3_bind_int64(statement, position, number)
  }

  /// Binds bytes, which must stay in place until the statement is stepped.
  @inline(__always)
  func bind(_ statement: OpaquePointer, _ position: Int32, _ bytes: UnsafeRawBufferPointer) {
    sqlite3_bind_blob64(statement, position, bytes.baseAddress, UInt64(bytes.count), nil)
  }

  /// Copies a payload, as a program that uses it would.
  @inline(__always)
  func payload(_ statement: OpaquePointer, _ column: Int32) -> [UInt8] {
    guard let start = sqlite3_column_blob(statement, column) else { return [] }
    return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column))))
  }

  func number(_ statement: OpaquePointer, _ column: Int32) -> Int64 {
    sqlite3_column_int64(statement, column)
  }

  private func failure() -> QudoError {
    QudoError(.database, "the floor: " + String(cString: sqlite3_errmsg(handle)))
  }
}
