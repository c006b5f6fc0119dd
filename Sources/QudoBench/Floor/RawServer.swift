#if MySQL
internal import CMariaDB
internal import Qudo
internal import QudoMySQL

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Direct libmariadb calls, without any layer in between. Not thread-safe.
final class RawServer {
  private let connection: RawConnection
  private let handle: UnsafeMutablePointer<MYSQL>
  private(set) var roundTrips = 0
  var facts: MySQLServerFacts { connection.facts }

  init(_ server: DatabaseServer) throws {
    connection = try RawConnection(server)
    handle = connection.handle.assumingMemoryBound(to: MYSQL.self)  // unsafe: the handle is a MYSQL
  }

  /// Sends statements in one packet and reads all their results.
  ///
  /// - Parameter row: called with each row of each result.
  func run(_ text: [UInt8], row: (RawRow) -> Void = { _ in }) throws {
    roundTrips += 1
    let code = text.withUnsafeBufferPointer { buffer in  // unsafe: not kept
      buffer.withMemoryRebound(to: CChar.self) { mysql_real_query(handle, $0.baseAddress, UInt($0.count)) }
    }
    guard code == 0 else { throw failure() }
    while true {
      if let result = mysql_store_result(handle) {
        defer { mysql_free_result(result) }
        while let fields = mysql_fetch_row(result), let lengths = mysql_fetch_lengths(result) {
          row(RawRow(fields: fields, lengths: lengths))
        }
      } else if mysql_field_count(handle) != 0 {
        throw failure()
      }
      let next = mysql_next_result(handle)
      if next < 0 { return }
      if next > 0 { throw failure() }
    }
  }

  func run(_ text: String, row: (RawRow) -> Void = { _ in }) throws { try run(Array(text.utf8), row: row) }

  /// Returns the first column as numbers.
  func numbers(_ text: String) throws -> [Int64] {
    var numbers: [Int64] = []
    try run(text) { numbers.append($0.number(0)) }
    return numbers
  }

  /// Returns the first column as text.
  func texts(_ text: String) throws -> [String] {
    var texts: [String] = []
    try run(text) { texts.append(String(decoding: $0.bytes(0), as: UTF8.self)) }
    return texts
  }

  /// Returns the bytes escaped and in quotes.
  func quoted(_ bytes: [UInt8]) -> [UInt8] {
    let quote = UInt8(ascii: "'")
    // "You must allocate the to buffer to be at least length*2+1 bytes long": mysql_real_escape_string.
    let escaped = [UInt8](unsafeUninitializedCapacity: bytes.count * 2 + 1) { buffer, count in  // unsafe: the documented size
      bytes.withUnsafeBytes { bytes in
        let (to, from) = (UnsafeMutableRawBufferPointer(buffer), bytes)
        count = Int(
          mysql_real_escape_string(
            handle, to.baseAddress?.assumingMemoryBound(to: CChar.self),
            from.baseAddress?.assumingMemoryBound(to: CChar.self),
            UInt(from.count)))
      }
    }
    return [quote] + escaped + [quote]
  }

  private func failure() -> BenchFailure {
    BenchFailure(
      "the floor: \(mysql_errno(handle)) " + (mysql_error(handle).map { String(cString: $0) } ?? "unknown"))
  }
}

/// A row, valid until the next row is fetched.
struct RawRow {
  fileprivate let fields: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  fileprivate let lengths: UnsafeMutablePointer<UInt>

  func number(_ column: Int) -> Int64 { fields[column].map { strtoll($0, nil, 10) } ?? 0 }

  /// Copies a payload, as a program that uses it would.
  func bytes(_ column: Int) -> [UInt8] {
    guard let field = fields[column] else { return [] }
    return [UInt8](UnsafeRawBufferPointer(start: field, count: Int(lengths[column])))  // unsafe: the length comes from the library
  }
}
#endif
