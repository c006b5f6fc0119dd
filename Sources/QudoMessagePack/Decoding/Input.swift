internal import Qudo

/// The bytes that are decoded. Values are named by the byte at which they begin; there is no tree besides the bytes.
final class Input: Sendable {
  let bytes: [UInt8]
  init(_ bytes: [UInt8]) { self.bytes = bytes }

  struct Fault: Error {
    let byte: Int
    let words: String
  }

  /// Checks all bytes once, even the parts that nobody decodes. Later code relies only on the limit of the depth, and
  /// on an array or map having no more elements than there are bytes.
  func check() throws {
    do throws(Fault) {
      let end = try checked()
      guard end == bytes.count else {
        throw Fault(byte: end, words: "\(bytes.count - end) bytes follow the value")
      }
    } catch {
      throw corrupt(error)
    }
  }

  /// The end of the first value.
  private func checked() throws(Fault) -> Int {
    var at = 0
    // How many values are missing in each of the lists round the place.
    var missing: [Int] = []
    repeat {
      let start = at
      let (head, end) = try head(at)
      at = end
      if let last = missing.indices.last { missing[last] -= 1 }
      var count = 0
      switch head {
      case .text(let range): try checkText(range, start)
      case .array(let elements): count = elements
      case .map(let pairs): count = 2 * pairs
      default: break
      }
      if count > bytes.count - at {
        throw Fault(byte: start, words: "\(head.words) is longer than the bytes that are left")
      }
      switch head {
      case .array, .map:
        guard missing.count < MessagePackCodec.depthLimit else {
          throw Fault(
            byte: start, words: "arrays and maps are nested deeper than \(MessagePackCodec.depthLimit)")
        }
        missing.append(count)
      default: break
      }
      while missing.last == 0 { missing.removeLast() }
    } while !missing.isEmpty
    return at
  }

  private func checkText(_ range: Range<Int>, _ start: Int) throws(Fault) {
    if bytes[range].allSatisfy({ $0 < 0x80 }) { return }
    if let bad = invalidUTF8(in: bytes[range]) { throw Fault(byte: bad, words: "text is not UTF-8") }
  }

  /// The end of a value, its elements included.
  func end(_ at: Int) throws(Fault) -> Int {
    var at = at
    var missing = 1
    while missing > 0 {
      let (head, end) = try head(at)
      at = end
      missing -= 1
      switch head {
      case .array(let count): missing += count
      case .map(let count): missing += 2 * count
      default: break
      }
    }
    return at
  }

  func corrupt(_ fault: Fault) -> DecodingError {
    .dataCorrupted(context(fault.byte, fault.words))
  }

  func context(_ byte: Int, _ words: String, path: [any CodingKey] = []) -> DecodingError.Context {
    DecodingError.Context(codingPath: path, debugDescription: words, underlyingError: PayloadByte(byte))
  }
}
