#if MySQL
internal import CMariaDB
internal import Qudo

/// What one statement came to.
struct StatementResult {
  /// The rows of a statement that has any.
  var rows: Rows?
  /// How many rows a statement changed.
  var affected = 0
  /// The first id that an insert took from an AUTO_INCREMENT column.
  var insertID: Int64 = 0
}

/// The rows of one statement, all of them on this side of the connection.
final class Rows {
  private let result: UnsafeMutablePointer<MYSQL_RES>

  init(_ result: UnsafeMutablePointer<MYSQL_RES>) { self.result = result }
  deinit { mysql_free_result(result) }

  var count: Int { Int(mysql_num_rows(result)) }

  /// To the first row again.
  func rewind() { mysql_data_seek(result, 0) }

  /// A row is good until the next one is asked for.
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

/// Fields as the text protocol has them: numbers in digits, bytes as they are.
struct Row {
  /// Keeps the memory.
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

  /// 0 for NULL and for what is no number; a fraction is cut off.
  func integer(_ column: Int) -> Int64 {
    guard let field = fields[column] else { return 0 }
    var value: Int64 = 0
    var isNegative = false
    for index in 0..<Int(lengths[column]) {
      let byte = UInt8(bitPattern: field[index])
      if index == 0, byte == UInt8(ascii: "-") { isNegative = true; continue }
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { break }
      // Downwards, as the lowest number has no positive counterpart.
      value = value &* 10 &- Int64(byte &- UInt8(ascii: "0"))
    }
    return isNegative ? value : 0 &- value
  }

  func integerIfAny(_ column: Int) -> Int64? { isNull(column) ? nil : integer(column) }
}
#endif
