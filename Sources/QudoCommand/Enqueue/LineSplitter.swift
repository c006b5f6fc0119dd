#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Splits a stream of arbitrary bytes at a separator.
struct LineSplitter {
  let separator: UInt8
  /// The maximum length of a line, in bytes.
  let limit: Int
  private var begun: [UInt8] = []
  /// The number of complete lines so far.
  private(set) var count = 0

  /// The next line exceeds the limit.
  struct TooLong: Error {}

  init(separator: UInt8, limit: Int) {
    self.separator = separator
    self.limit = limit
  }

  /// Appends the lines that `bytes` complete.
  ///
  /// - Throws: ``TooLong`` at the first line over the limit, complete or not; `lines` has the lines before
  ///   it.
  mutating func feed(_ bytes: UnsafeRawBufferPointer, into lines: inout [[UInt8]]) throws(TooLong) {
    var start = 0
    while let end = Self.index(of: separator, in: bytes, from: start) {
      try add(bytes[start..<end])
      lines.append(begun)
      count += 1
      begun = []
      start = end + 1
    }
    try add(bytes[start...])
  }

  /// Returns the last line if it has no separator.
  mutating func finish() -> [UInt8]? {
    guard !begun.isEmpty else { return nil }
    defer { begun = [] }
    count += 1
    return begun
  }

  private static func index(of byte: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    guard start < bytes.count, let base = bytes.baseAddress else { return nil }
    return memchr(base + start, Int32(byte), bytes.count - start).map { UnsafeRawPointer($0) - base }
  }

  private mutating func add(_ bytes: Slice<UnsafeRawBufferPointer>) throws(TooLong) {
    guard begun.count + bytes.count <= limit else { throw TooLong() }
    begun.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes))
  }
}
