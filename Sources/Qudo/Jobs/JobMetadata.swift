/// Named texts that are stored with a job, next to its payload: a trace context, a tenant, or a request id.
///
///     job.metadata["request"] = "42"
///
/// Hooks write them before the enqueue and read them when the job runs; the job's type and codec are not
/// involved. Their bytes count towards the payload limit.
///
/// The database stores them as one blob, which is empty if there are none: a version byte, 1, then the name
/// and the text of each entry. Each of these is a length in four bytes, big-endian, followed by UTF-8. A
/// lookup scans the blob, so keep entries few and short.
public struct JobMetadata: Hashable, Sendable {
  /// The bytes that the database stores; empty if there are no entries.
  public private(set) var bytes: [UInt8]

  /// Creates metadata without entries.
  public init() { bytes = [] }

  /// Creates metadata from ``bytes``. If they are malformed, entries after the first error are ignored.
  public init(bytes: [UInt8]) { self.bytes = bytes }

  /// Whether there are no entries.
  public var isEmpty: Bool { bytes.isEmpty }

  /// The text with this name; nil if there is none. Names are compared as UTF-8 bytes.
  public subscript(name: String) -> String? {
    get {
      var reader = Reader(bytes)
      while let entry = reader.next() {
        if entry.name.elementsEqual(name.utf8) { return String(decoding: entry.text, as: UTF8.self) }
      }
      return nil
    }
    set {
      var kept: [UInt8] = []
      var reader = Reader(bytes)
      while let entry = reader.next() {
        if !entry.name.elementsEqual(name.utf8) { Self.append(entry.name, entry.text, to: &kept) }
      }
      if let newValue { Self.append(name.utf8, newValue.utf8, to: &kept) }
      bytes = kept.isEmpty ? [] : [Self.version] + kept
    }
  }

  /// The names, in the order in which they were written.
  public var names: [String] {
    var names: [String] = []
    var reader = Reader(bytes)
    while let entry = reader.next() { names.append(String(decoding: entry.name, as: UTF8.self)) }
    return names
  }

  private static let version: UInt8 = 1

  private static func append(
    _ name: some Collection<UInt8>, _ text: some Collection<UInt8>, to bytes: inout [UInt8]
  ) {
    for part in [Array(name), Array(text)] {
      // Four bytes suffice: a longer text is far beyond the payload limit.
      withUnsafeBytes(of: UInt32(clamping: part.count).bigEndian) { bytes += $0 }  // unsafe: the bytes of an integer
      bytes += part
    }
  }

  /// Reads entries up to the first malformed byte.
  private struct Reader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes.first == JobMetadata.version ? bytes.dropFirst() : [] }

    mutating func next() -> (name: ArraySlice<UInt8>, text: ArraySlice<UInt8>)? {
      guard let name = part(), let text = part() else { return nil }
      return (name, text)
    }

    private mutating func part() -> ArraySlice<UInt8>? {
      guard rest.count >= 4 else { return nil }
      let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
      guard rest.count - 4 >= length else { return nil }
      defer { rest = rest.dropFirst(4 + length) }
      return rest.dropFirst(4).prefix(length)
    }
  }
}

extension JobMetadata: ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (String, String)...) {
    self.init()
    for (name, text) in elements { self[name] = text }
  }
}

extension JobMetadata: CustomStringConvertible, CustomDebugStringConvertible {
  /// The names only, because a text may be a secret.
  public var description: String { "\(names)" }
  public var debugDescription: String { description }
}
