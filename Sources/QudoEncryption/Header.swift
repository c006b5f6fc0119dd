#if Encryption
internal import Qudo

/// The bytes in front of the nonce.
struct Header {
  static let version: UInt8 = 1
  static let size = 5
  static let nonce = 12
  static let tag = 16

  let key: UInt32

  var bytes: [UInt8] { [Self.version] + Self.bigEndian(key) }

  /// The additional data that the tag authenticates. All parts but the kind, which comes last, have a fixed length, so no two inputs give
  /// the same bytes.
  func authenticated(codec: CodecID, kind: Kind) -> [UInt8] {
    bytes + Self.bigEndian(codec.number) + Array(kind.name.utf8)
  }

  /// - Returns: the header, and the bytes from the nonce on.
  static func read(_ bytes: [UInt8]) throws(EncryptionError) -> (Header, ArraySlice<UInt8>) {
    guard let first = bytes.first else { throw EncryptionError("byte 0: the payload is empty") }
    guard first == version else {
      throw EncryptionError("byte 0: an encrypted payload begins with \(version), not \(first)")
    }
    let least = size + nonce + tag
    guard bytes.count >= least else {
      throw EncryptionError("byte \(bytes.count): an encrypted payload has at least \(least) bytes")
    }
    let key = bytes[1..<size].reduce(0) { $0 << 8 | UInt32($1) }
    return (Header(key: key), bytes[size...])
  }

  private static func bigEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    stride(from: Number.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> $0) }
  }
}
#endif
