/// Cuts a stream of bytes into what lies between separators, whatever else the bytes are.
struct LineSplitter {
  let separator: UInt8
  /// The longest line in bytes.
  let limit: Int
  private var begun: [UInt8] = []
  /// Whole lines so far.
  private(set) var count = 0

  /// The next line has more bytes than the limit.
  struct TooLong: Error {}

  init(separator: UInt8, limit: Int) {
    self.separator = separator
    self.limit = limit
  }

  /// Appends the lines that `bytes` complete.
  ///
  /// - Throws: ``TooLong`` at the first line over the limit, be it complete or not; those before it are in `lines`.
  mutating func feed(_ bytes: UnsafeRawBufferPointer, into lines: inout [[UInt8]]) throws(TooLong) {
    var rest = bytes[...]
    while let end = rest.firstIndex(of: separator) {
      try add(rest[..<end])
      lines.append(begun)
      count += 1
      begun = []
      rest = rest[(end + 1)...]
    }
    try add(rest)
  }

  /// A last line without a separator counts.
  mutating func finish() -> [UInt8]? {
    guard !begun.isEmpty else { return nil }
    defer { begun = [] }
    count += 1
    return begun
  }

  private mutating func add(_ bytes: Slice<UnsafeRawBufferPointer>) throws(TooLong) {
    guard begun.count + bytes.count <= limit else { throw TooLong() }
    begun += bytes
  }
}
