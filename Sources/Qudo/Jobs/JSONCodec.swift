#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A codec for JSON in UTF-8, with sorted keys, so that equal values have equal bytes. The default.
///
/// A `Date` is written in ISO 8601 in UTC, `"2026-03-01T12:00:00.25Z"`, with as many digits, at most nine, as
/// it takes to read the same date again. Payloads of every ``DateFormat`` are decoded.
public struct JSONCodec: Codec {
  /// The format in which dates are written. All formats can be read, whichever is written.
  public enum DateFormat: Sendable, CaseIterable {
    /// Text in UTC, `"2026-03-01T12:00:00Z"`; any offset is read. A date outside the years 1 to 9999 is
    /// written as a number, as with ``secondsSince2001``.
    case iso8601
    /// A number, as Foundation's `JSONEncoder` and earlier versions of Qudo write it. The default for reading
    /// numbers.
    case secondsSince2001
    /// A number, as in the JSON of most other programs. If you choose this format, numbers are read like
    /// this, and dates that were written as ``secondsSince2001`` are misread.
    case secondsSince1970
  }

  private let dates: DateFormat

  /// Creates a codec.
  ///
  /// - Parameter dates: The format in which dates are written. Default: ISO 8601.
  public init(dates: DateFormat = .iso8601) { self.dates = dates }
  public var id: CodecID { .json }
  public var name: String { "JSON" }

  // Shared, because they are Sendable: creating one per payload cost 2,400 instructions of 29,000.
  private static let decoder = makeDecoder { Date(timeIntervalSinceReferenceDate: $0) }
  private static let decoderSince1970 = makeDecoder { Date(timeIntervalSince1970: $0) }
  private static let encoder = makeEncoder(
    .custom { date, encoder in
      var container = encoder.singleValueContainer()
      if let text = ISO8601.text(date) {
        try container.encode(text)
      } else {
        try container.encode(date.timeIntervalSinceReferenceDate)
      }
    })
  private static let encoderSince2001 = makeEncoder(.deferredToDate)
  private static let encoderSince1970 = makeEncoder(.secondsSince1970)

  private static func makeEncoder(_ dates: JSONEncoder.DateEncodingStrategy) -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = dates
    return encoder
  }

  private static func makeDecoder(_ date: @escaping @Sendable (Double) -> Date) -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .custom { decoder in
      let container = try decoder.singleValueContainer()
      guard let text = try? container.decode(String.self) else {
        return date(try container.decode(Double.self))
      }
      if let date = ISO8601.date(text) { return date }
      throw DecodingError.dataCorruptedError(
        in: container,
        debugDescription: "expected a date in ISO 8601 with a zone, such as 2026-03-01T12:00:00Z")
    }
    return decoder
  }

  public func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> [UInt8] {
    let encoder =
      switch dates {
      case .iso8601: Self.encoder
      case .secondsSince2001: Self.encoderSince2001
      case .secondsSince1970: Self.encoderSince1970
      }
    return [UInt8](try encoder.encode(value))
  }

  public func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value
  {
    do {
      return try (dates == .secondsSince1970 ? Self.decoderSince1970 : Self.decoder).decode(
        type, from: Data(bytes))
    } catch let error as DecodingError {
      throw Self.located(error, in: bytes)
    }
  }

  /// Adds the position: Foundation reports the path but no byte, and for malformed JSON not even the reason.
  private static func located(_ error: DecodingError, in bytes: [UInt8]) -> DecodingError {
    if case .dataCorrupted(let context) = error, context.codingPath.isEmpty {
      if let fault = JSONScanner.fault(in: bytes) { return error.at(byte: fault.byte, saying: fault.problem) }
      // Measured: Foundation reports "not valid JSON" for well-formed text too, if 1.5 or
      // 99999999999999999999 is decoded as an Int.
      let words = "\(context.debugDescription) As JSON it is well formed: a number may not fit its type."
      return .dataCorrupted(
        .init(codingPath: [], debugDescription: words, underlyingError: context.underlyingError))
    }
    guard let path = error.context?.codingPath, let byte = JSONScanner.offset(of: path, in: bytes) else {
      return error
    }
    return error.at(byte: byte)
  }
}
