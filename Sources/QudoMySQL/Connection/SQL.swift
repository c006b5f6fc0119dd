#if MySQL
/// A piece of SQL text.
///
/// An interpolated value can only be an integer, bytes, which become hexadecimal, or another piece of SQL:
/// text from elsewhere does not compile.
struct SQL: Sendable {
  fileprivate(set) var bytes: [UInt8] = []

  var isEmpty: Bool { bytes.isEmpty }
  /// For tests and messages.
  var text: String { String(decoding: bytes, as: UTF8.self) }

  static func += (sql: inout SQL, more: SQL) { sql.bytes += more.bytes }
  static func + (a: SQL, b: SQL) -> SQL {
    var sum = a
    sum += b
    return sum
  }
}

extension SQL: ExpressibleByStringInterpolation {
  init(stringLiteral value: StaticString) { value.withUTF8Buffer { bytes = Array($0) } }
  init(stringInterpolation: Interpolation) { bytes = stringInterpolation.bytes }

  struct Interpolation: StringInterpolationProtocol {
    fileprivate var bytes: [UInt8] = []

    init(literalCapacity: Int, interpolationCount: Int) {
      bytes.reserveCapacity(literalCapacity + interpolationCount * 12)
    }

    mutating func appendLiteral(_ literal: StaticString) { literal.withUTF8Buffer { bytes += $0 } }

    mutating func appendInterpolation(_ sql: SQL) { bytes += sql.bytes }

    mutating func appendInterpolation(_ integer: some FixedWidthInteger) { append(integer: Int64(integer)) }

    mutating func appendInterpolation(_ integer: Int64?) {
      if let integer { append(integer: integer) } else { bytes += "NULL".utf8 }
    }

    /// Appends bytes as a hexadecimal literal, which needs no escaping.
    mutating func appendInterpolation(_ value: some Collection<UInt8>) {
      bytes += "x'".utf8
      defer { bytes.append(UInt8(ascii: "'")) }
      var rest = value[...]
      while !rest.isEmpty {
        let part = rest.prefix(256)
        rest = rest.dropFirst(256)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: part.count * 2) { digits in  // unsafe: within the capacity
          var count = 0
          for byte in part {
            digits[count] = Self.digit(byte >> 4)
            digits[count + 1] = Self.digit(byte & 15)
            count += 2
          }
          bytes += digits
        }
      }
    }

    mutating func appendInterpolation(_ value: [UInt8]?) {
      if let value { appendInterpolation(value[...]) } else { bytes += "NULL".utf8 }
    }

    /// - Parameter list: The integers; not empty.
    mutating func appendInterpolation(list: some Collection<Int64>) {
      bytes.append(UInt8(ascii: "("))
      for integer in list {
        if bytes.last != UInt8(ascii: "(") { bytes.append(UInt8(ascii: ",")) }
        append(integer: integer)
      }
      bytes.append(UInt8(ascii: ")"))
    }

    /// Appends a condition on the column `id`.
    ///
    /// Consecutive ids become a range. The server looks up a list id by id, and it costs as much to read and
    /// plan as the rows themselves. The last id of a range is written separately, because a range reads one
    /// row beyond its end, and would wait if another session has locked that row.
    ///
    /// - Parameter ids: The ids in ascending order, each once; not empty.
    mutating func appendInterpolation(ids: some RandomAccessCollection<Int64>) {
      guard let runs = Self.ranges(ids) else {
        if ids.count == 1, let id = ids.first {
          bytes += "id = ".utf8
          append(integer: id)
        } else {
          bytes += "id IN ".utf8
          appendInterpolation(list: ids)
        }
        return
      }
      for (index, run) in runs.enumerated() {
        bytes += (index == 0 ? "(" : " OR ").utf8
        if run.lowerBound < run.upperBound {
          bytes += "id BETWEEN ".utf8
          append(integer: run.lowerBound)
          bytes += " AND ".utf8
          append(integer: run.upperBound - 1)
          bytes += " OR ".utf8
        }
        bytes += "id = ".utf8
        append(integer: run.upperBound)
      }
      bytes.append(UInt8(ascii: ")"))
    }

    /// - Returns: Nil if a list is better.
    static func ranges(_ ids: some RandomAccessCollection<Int64>) -> [ClosedRange<Int64>]? {
      var runs: [ClosedRange<Int64>] = []
      for id in ids {
        if let last = runs.last, last.upperBound < .max, id == last.upperBound + 1 {
          runs[runs.count - 1] = last.lowerBound...id
        } else {
          runs.append(id...id)
          guard runs.count < 8 else { return nil }
        }
      }
      return ids.count > 3 * runs.count ? runs : nil
    }

    private mutating func append(integer: Int64) {
      if integer == .min {
        // The server parses "-9223372036854775808" as a minus before a number that is out of range.
        bytes += "(-9223372036854775807 - 1)".utf8
        return
      }
      if integer < 0 {
        // Two consecutive minus signs begin a comment.
        if bytes.last == UInt8(ascii: "-") { bytes.append(UInt8(ascii: " ")) }
        bytes.append(UInt8(ascii: "-"))
      }
      var rest = integer.magnitude
      var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)  // 20 digits at most
      withUnsafeMutableBytes(of: &digits) { buffer in  // unsafe: within the bytes of `digits`
        var start = buffer.count
        repeat {
          start -= 1
          buffer[start] = UInt8(ascii: "0") + UInt8(rest % 10)
          rest /= 10
        } while rest > 0
        bytes += buffer[start...]
      }
    }

    private static func digit(_ half: UInt8) -> UInt8 {
      half < 10 ? UInt8(ascii: "0") + half : UInt8(ascii: "A") + half - 10
    }
  }
}

extension Sequence<SQL> {
  func joined(_ separator: SQL) -> SQL {
    var sum = SQL()
    for part in self {
      if !sum.isEmpty { sum += separator }
      sum += part
    }
    return sum
  }
}
#endif
