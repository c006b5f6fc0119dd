/// What travels beside a job's payload, by name: a trace's context, a tenant, a request's id.
///
///     job.meta["request"] = "42"
///
/// Hooks write it before the enqueue and read it when the job runs; neither the job's type nor its codec knows of it.
/// Its bytes count towards the payload's limit.
///
/// In the database it is one blob, which takes no room when nothing is in it: a version, 1, then for each entry the
/// name and the text, each as its length in four bytes, highest first, and its UTF-8. Reading looks through the bytes
/// from the front: it is made for few and short entries.
public struct JobMetadata: Hashable, Sendable {
  /// As they stand in the database; empty when there is nothing.
  public private(set) var bytes: [UInt8]

  /// Nothing.
  public init() { bytes = [] }

  /// - Parameter bytes: what ``bytes`` was. Of bytes that are something else only the part that can be read counts.
  public init(bytes: [UInt8]) { self.bytes = bytes }

  /// Whether nothing is in it.
  public var isEmpty: Bool { bytes.isEmpty }

  /// The text of that name. Names are compared as UTF-8 bytes.
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

  private static func append(_ name: some Collection<UInt8>, _ text: some Collection<UInt8>, to bytes: inout [UInt8]) {
    for part in [Array(name), Array(text)] {
      // A length of more than four bytes is far beyond every limit of a payload.
      withUnsafeBytes(of: UInt32(clamping: part.count).bigEndian) { bytes += $0 }  // unsafe: the bytes of an integer
      bytes += part
    }
  }

  /// Stops at the first byte that does not fit.
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
  /// Not the texts: one may be a secret.
  public var description: String { "\(names)" }
  public var debugDescription: String { description }
}
