#if Dashboard
internal import Qudo

/// Random secrets, and what is derived from them.
package struct Secret: Sendable {
  private let key: [UInt8]

  /// Draws 256 bits from the system's generator of random numbers for secrets.
  package init() { key = Self.random(32) }

  /// The code (HMAC-SHA-256, RFC 2104) of a text under this secret, in hexadecimal.
  ///
  /// - Parameter purpose: What the code is for, so that one for another purpose is not taken for it.
  func code(_ purpose: String, _ text: String) -> String {
    Self.hexadecimal(Self.authentication(of: Array("\(purpose)\n\(text)".utf8), key: key))
  }

  /// HMAC-SHA-256.
  ///
  /// - Parameter key: At most 64 bytes.
  static func authentication(of message: [UInt8], key: [UInt8]) -> [UInt8] {
    let padded = key + [UInt8](repeating: 0, count: max(0, 64 - key.count))
    let inner = hash(padded.map { $0 ^ 0x36 } + message)
    return hash(padded.map { $0 ^ 0x5C } + inner)
  }

  /// A text of 256 random bits, in hexadecimal.
  package static func randomText() -> String { hexadecimal(random(32)) }

  private static func random(_ count: Int) -> [UInt8] {
    // "The system's most secure generator": the documentation of SystemRandomNumberGenerator; getrandom(2) on Linux.
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
  }

  private static func hash(_ bytes: [UInt8]) -> [UInt8] {
    SHA256.hash(bytes).flatMap { word in
      stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
    }
  }

  static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// Whether two texts are equal, in a time that depends on the length of the given one only.
  @inline(never)
  static func equal(_ given: String, _ expected: String) -> Bool {
    // Hashes have one length, and nobody can choose how they differ.
    let (a, b) = (SHA256.hash(Array(given.utf8)), SHA256.hash(Array(expected.utf8)))
    var difference: UInt32 = 0
    for (x, y) in zip(a, b) { difference |= x ^ y }
    return difference == 0
  }
}
#endif
