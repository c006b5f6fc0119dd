#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Finds positions in JSON for error messages, because Foundation's decoder does not report them.
package struct JSONScanner {
  package struct Fault: Error {
    package let byte: Int
    package let problem: String
  }

  private let bytes: [UInt8]
  private var at = 0
  private var depth = 0

  private init(_ bytes: [UInt8]) {
    self.bytes = bytes
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
  }

  /// Returns the first reason why the bytes are not one JSON value; nil if they are.
  package static func fault(in bytes: [UInt8]) -> Fault? {
    var scanner = JSONScanner(bytes)
    do {
      try scanner.value()
      scanner.space()
      return scanner.at == bytes.count ? nil : Fault(byte: scanner.at, problem: "bytes follow the JSON value")
    } catch {
      return error
    }
  }

  /// Returns where the value with this path begins; nil if there is none.
  static func offset(of path: [any CodingKey], in bytes: [UInt8]) -> Int? {
    var scanner = JSONScanner(bytes)
    do {
      for key in path { guard try scanner.enter(key) else { return nil } }
    } catch {
      return nil
    }
    scanner.space()
    return scanner.at
  }

  private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func space() {
    while let byte = next, byte == 0x20 || (0x09...0x0D).contains(byte), byte != 0x0B, byte != 0x0C {
      at += 1
    }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    space()
    guard next == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }

  private func fail(_ expected: String) -> Fault {
    Fault(
      byte: at, problem: at < bytes.count ? "expected \(expected)" : "the JSON ends, expected \(expected)")
  }

  /// Moves to the value of a key or index; returns false if there is none.
  private mutating func enter(_ key: any CodingKey) throws(Fault) -> Bool {
    if let index = key.intValue, take("[") {
      for _ in 0..<index {
        try value()
        guard take(",") else { return false }
      }
      return true
    }
    guard take("{") else { return false }
    repeat {
      space()
      let start = at
      try string()
      let name = try? JSONDecoder().decode(String.self, from: Data(bytes[start..<at]))
      guard take(":") else { throw fail("a colon") }
      if name == key.stringValue { return true }
      try value()
    } while take(",")
    return false
  }

  private mutating func value() throws(Fault) {
    space()
    switch next {
    case UInt8(ascii: "{"):
      try list("}") { (scanner) throws(Fault) in
        scanner.space()
        try scanner.string()
        guard scanner.take(":") else { throw scanner.fail("a colon") }
        try scanner.value()
      }
    case UInt8(ascii: "["): try list("]") { (scanner) throws(Fault) in try scanner.value() }
    case UInt8(ascii: "\""): try string()
    case UInt8(ascii: "t"): try word("true")
    case UInt8(ascii: "f"): try word("false")
    case UInt8(ascii: "n"): try word("null")
    case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): try number()
    default: throw fail("a value")
    }
  }

  private mutating func list(_ end: Unicode.Scalar, _ item: (inout JSONScanner) throws(Fault) -> Void)
    throws(Fault)
  {
    // Foundation's limit.
    guard depth < 512 else { throw Fault(byte: at, problem: "lists are nested deeper than 512") }
    depth += 1
    defer { depth -= 1 }
    at += 1
    if take(end) { return }
    repeat { try item(&self) } while take(",")
    guard take(end) else { throw fail("a comma or \(end)") }
  }

  private mutating func word(_ word: String) throws(Fault) {
    for byte in word.utf8 {
      guard next == byte else { throw fail(word) }
      at += 1
    }
  }

  private mutating func number() throws(Fault) {
    if next == UInt8(ascii: "-") { at += 1 }
    if next == UInt8(ascii: "0") { at += 1 } else { try digits() }
    if next == UInt8(ascii: ".") {
      at += 1
      try digits()
    }
    guard next == UInt8(ascii: "e") || next == UInt8(ascii: "E") else { return }
    at += 1
    if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { at += 1 }
    try digits()
  }

  private mutating func digits() throws(Fault) {
    let start = at
    while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { at += 1 }
    if at == start { throw fail("a digit") }
  }

  private mutating func string() throws(Fault) {
    guard next == UInt8(ascii: "\"") else { throw fail("a string") }
    at += 1
    let start = at
    while let byte = next, byte != UInt8(ascii: "\"") {
      guard byte >= 0x20 else { throw Fault(byte: at, problem: "a control character is in a string") }
      if byte == UInt8(ascii: "\\") { try escape() } else { at += 1 }
    }
    guard next != nil else { throw fail("the end of a string") }
    if let bad = invalidUTF8(in: bytes[start..<at]) {
      throw Fault(byte: bad, problem: "a string is not UTF-8")
    }
    at += 1
  }

  private mutating func escape() throws(Fault) {
    at += 1
    guard let byte = next, "\"\\/bfnrtu".utf8.contains(byte) else { throw fail("an escape") }
    at += 1
    guard byte == UInt8(ascii: "u") else { return }
    for _ in 0..<4 {
      guard let digit = next, Character(Unicode.Scalar(digit)).isHexDigit else {
        throw fail("a hexadecimal digit")
      }
      at += 1
    }
  }
}

/// Returns the index of the first byte that is not valid UTF-8; nil if all are.
package func invalidUTF8(in bytes: ArraySlice<UInt8>) -> Int? {
  var decoder = Unicode.UTF8.ForwardParser()
  var iterator = bytes.makeIterator()
  var index = bytes.startIndex
  while true {
    switch decoder.parseScalar(from: &iterator) {
    case .valid(let scalar): index += scalar.count
    case .error: return index
    case .emptyInput: return nil
    }
  }
}
