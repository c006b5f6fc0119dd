#if MySQL
import CMariaDB
import Foundation

/// A connection of the test's own to a server, as root by its socket: no proxy is in between, and no driver's setting.
///
/// It waits for at most 10 s for an answer.
final class ServerSession {
  struct Failure: Error, CustomStringConvertible {
    let code: UInt32
    let message: String
    var description: String { "MySQL \(code): \(message)" }
  }

  private static let isInitialized = mysql_server_init(0, nil, nil) == 0
  private let handle: UnsafeMutablePointer<MYSQL>

  init(socket: String, database: String) throws {
    guard Self.isInitialized, let handle = mysql_init(nil) else {
      throw Failure(code: 0, message: "libmariadb could not be set up")
    }
    self.handle = handle
    for option in [MYSQL_OPT_CONNECT_TIMEOUT, MYSQL_OPT_READ_TIMEOUT, MYSQL_OPT_WRITE_TIMEOUT] {
      withUnsafePointer(to: UInt32(10)) { _ = mysql_options(handle, option, $0) }
    }
    guard mysql_real_connect(handle, nil, "root", nil, database, 0, socket, 0) != nil else { throw failure }
    // What a fault sets for all sessions is not for this one.
    try rows("SET SESSION max_statement_time = 0")
  }

  deinit { mysql_close(handle) }

  private var failure: Failure {
    Failure(code: mysql_errno(handle), message: mysql_error(handle).map { String(cString: $0) } ?? "unknown")
  }

  @discardableResult
  func rows(_ statement: String) throws -> [[String]] {
    guard mysql_query(handle, statement) == 0 else { throw failure }
    guard let result = mysql_store_result(handle) else {
      guard mysql_field_count(handle) == 0 else { throw failure }
      return []
    }
    defer { mysql_free_result(result) }
    var rows: [[String]] = []
    while let row = mysql_fetch_row(result), let lengths = mysql_fetch_lengths(result) {
      rows.append(
        (0..<Int(mysql_num_fields(result))).map { column in
          row[column].map {
            String(decoding: UnsafeRawBufferPointer(start: $0, count: Int(lengths[column])), as: UTF8.self)
          } ?? "NULL"
        })
    }
    return rows
  }
}
#endif
