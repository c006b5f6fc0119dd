#if MySQL
internal import CMariaDB
internal import Qudo

/// The result of one statement.
struct StatementResult {
  /// The rows, if the statement returns any.
  var rows: Rows?
  /// The number of rows that the statement changed.
  var affected = 0
  /// The first AUTO_INCREMENT id that an INSERT assigned.
  var insertID: Int64 = 0
}

/// The rows of one statement, all of them in the client's memory.
final class Rows {
  private let result: UnsafeMutablePointer<MYSQL_RES>

  init(_ result: UnsafeMutablePointer<MYSQL_RES>) { self.result = result }
  deinit { mysql_free_result(result) }

  var count: Int { Int(mysql_num_rows(result)) }

  /// Goes back to the first row.
  func rewind() { mysql_data_seek(result, 0) }

  /// Returns the next row, which is valid until the one after it is requested.
  func next() -> Row? {
    guard let fields = mysql_fetch_row(result), let lengths = mysql_fetch_lengths(result) else { return nil }
    return Row(owner: self, fields: fields, lengths: lengths)
  }

  func forEach(_ body: (Row) throws(QudoError) -> Void) throws(QudoError) {
    while let row = next() { try body(row) }
  }

  func map<Element>(_ body: (Row) -> Element) -> [Element] {
    var elements: [Element] = []
    elements.reserveCapacity(Int(mysql_num_rows(result)))
    while let row = next() { elements.append(body(row)) }
    return elements
  }
}

/// A row in the text protocol: numbers as digits, bytes unchanged.
struct Row {
  /// Keeps the fields in memory.
  fileprivate let owner: Rows
  fileprivate let fields: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  fileprivate let lengths: UnsafeMutablePointer<UInt>

  func isNull(_ column: Int) -> Bool { fields[column] == nil }

  func bytes(_ column: Int) -> [UInt8] {
    guard let field = fields[column] else { return [] }
    return Array(UnsafeRawBufferPointer(start: field, count: Int(lengths[column])))  // unsafe: as long as the library says
  }

  func bytesIfAny(_ column: Int) -> [UInt8]? { isNull(column) ? nil : bytes(column) }

  func text(_ column: Int) -> String { String(decoding: bytes(column), as: UTF8.self) }

  func textIfAny(_ column: Int) -> String? { isNull(column) ? nil : text(column) }

  /// Returns 0 for NULL and for a value that is not a number; truncates a fraction.
  func integer(_ column: Int) -> Int64 {
    guard let field = fields[column] else { return 0 }
    var value: Int64 = 0
    var isNegative = false
    for index in 0..<Int(lengths[column]) {
      let byte = UInt8(bitPattern: field[index])
      if index == 0, byte == UInt8(ascii: "-") { isNegative = true; continue }
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { break }
      // Count downwards, because the lowest number has no positive counterpart.
      value = value &* 10 &- Int64(byte &- UInt8(ascii: "0"))
    }
    return isNegative ? value : 0 &- value
  }

  func integerIfAny(_ column: Int) -> Int64? { isNull(column) ? nil : integer(column) }
}
#endif
