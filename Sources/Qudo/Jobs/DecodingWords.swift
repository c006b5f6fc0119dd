/// The position of an error in a payload: the ``Swift/DecodingError/Context/underlyingError`` of some codecs.
package struct PayloadByte: Error, Sendable {
  /// The offset from the beginning of the codec's input.
  package let offset: Int
  package init(_ offset: Int) { self.offset = offset }
}

extension DecodingError {
  package var context: Context? {
    switch self {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
      .dataCorrupted(let context):
      context
    @unknown default: nil
    }
  }

  /// The same error with the position added.
  package func at(byte offset: Int, saying words: String? = nil) -> DecodingError {
    func moved(_ old: Context) -> Context {
      Context(
        codingPath: old.codingPath, debugDescription: words ?? old.debugDescription,
        underlyingError: PayloadByte(offset))
    }
    return switch self {
    case .typeMismatch(let type, let context): .typeMismatch(type, moved(context))
    case .valueNotFound(let type, let context): .valueNotFound(type, moved(context))
    case .keyNotFound(let key, let context): .keyNotFound(key, moved(context))
    case .dataCorrupted(let context): .dataCorrupted(moved(context))
    @unknown default: self
    }
  }
}

extension DecodingError.Context {
  /// The path and the byte, such as `at numbers.[1], byte 14`; nil if neither is known.
  package var place: String? {
    let path = codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    let places = [
      path.isEmpty ? nil : "at \(path)", (underlyingError as? PayloadByte).map { "byte \($0.offset)" },
    ]
    let known = places.compactMap { $0 }
    return known.isEmpty ? nil : known.joined(separator: ", ")
  }
}

/// Describes a decoder's error in one line, because Foundation's own description is long.
package func decodingWords(_ error: any Error) -> String {
  guard let context = (error as? DecodingError)?.context else { return String(describing: error) }
  let below = context.underlyingError.flatMap { $0 is PayloadByte ? nil : " (\($0))" } ?? ""
  return (context.place.map { $0 + ": " } ?? "") + context.debugDescription + below
}
