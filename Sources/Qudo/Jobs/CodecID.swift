/// Which codec wrote a payload. Stored with each payload, so that old ones are read after the default changes.
///
/// The lowest byte is the outermost codec; what it wraps is in the bytes above it. The numbers from 1 to 127 are Qudo's.
/// Take one from 128 to 255 for a codec of your own, and never give it to another.
public struct CodecID: Hashable, Sendable, CustomStringConvertible {
  /// As it stands in the database.
  public let number: Int64
  /// A number of your own, from 128 to 255, or one from a database.
  public init(_ number: Int64) { self.number = number }

  /// Bytes as they are.
  public static let raw = CodecID(0)
  /// JSON in UTF-8.
  public static let json = CodecID(1)
  /// A binary property list.
  public static let propertyList = CodecID(2)
  /// MessagePack.
  public static let messagePack = CodecID(3)

  /// The id of a codec that does something to the bytes of another one.
  ///
  /// - Parameters:
  ///   - wrapper: the number of what is done, from 16 to 31 for Qudo's own, from 128 to 255 for yours.
  ///   - base: of the codec that wrote the bytes.
  public static func wrapping(_ wrapper: UInt8, as base: CodecID) -> CodecID { CodecID(base.number << 8 | Int64(wrapper)) }

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
