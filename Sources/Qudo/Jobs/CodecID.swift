/// The number of the codec that wrote a payload. The database stores it with each payload, so that old payloads stay readable when the
/// default codec changes.
///
/// The lowest byte is the outermost codec; the codec that it wraps is in the bytes above. Qudo owns the numbers from 1 to 127. Take a
/// number from 128 to 255 for a codec of your own, and never reuse it for another.
public struct CodecID: Hashable, Sendable, CustomStringConvertible {
  /// The number in the database.
  public let number: Int64
  /// Creates an id from a number of your own, from 128 to 255, or from a number in a database.
  public init(_ number: Int64) { self.number = number }

  /// Raw bytes.
  public static let raw = CodecID(0)
  /// JSON in UTF-8.
  public static let json = CodecID(1)
  /// A binary property list.
  public static let propertyList = CodecID(2)
  /// MessagePack.
  public static let messagePack = CodecID(3)

  /// Returns the id of a codec that transforms the bytes of another codec.
  ///
  /// - Parameters:
  ///   - base: the id of the codec whose bytes are transformed.
  ///   - wrapper: the number of the transformation: 16 to 31 for Qudo's own, 128 to 255 for yours.
  public static func wrapping(_ base: CodecID, as wrapper: UInt8) -> CodecID {
    CodecID(base.number << 8 | Int64(wrapper))
  }

  /// The codec that wrote the value, below all that wrap it.
  var innermost: CodecID {
    var number = number
    while number > 255 { number >>= 8 }
    return CodecID(number)
  }

  /// The number; of one that wraps others their numbers, the outermost first: `17/16/1`.
  public var description: String {
    guard number > 255 else { return "\(number)" }
    return "\(number & 255)/\(CodecID(number >> 8))"
  }
}
