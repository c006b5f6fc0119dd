/// Reads a file of the time zone database, by RFC 9636.
struct TZif {
  struct Malformed: Error { var problem: String }

  /// The largest file that is read, in bytes. The largest of the database has about 4,000.
  static let maxSize = 65_536

  private(set) var table = OffsetTable(offset: 0)

  init(_ bytes: [UInt8]) throws(Malformed) {
    var input = Input(bytes: bytes[...])
    // "The first header and data block … use 32-bit values"; the second one has 64 bits.
    let first = try Header(&input)
    guard first.version >= UInt8(ascii: "2") else { throw Malformed(problem: "version 1 of the format") }
    _ = try input.take(first.size(ofTime: 4))
    let header = try Header(&input)
    guard header.leapSeconds == 0 else { throw Malformed(problem: "it counts leap seconds") }
    try readTable(header, try input.take(header.size(ofTime: 8)))
    table.rule = try Self.footer(&input)
  }

  private mutating func readTable(_ header: Header, _ block: ArraySlice<UInt8>) throws(Malformed) {
    var input = Input(bytes: block)
    var times = Input(bytes: try input.take(8 * header.times))
    var kinds = Input(bytes: try input.take(header.times))
    var records = Input(bytes: try input.take(6 * header.types))
    var offsets: [Int64] = []
    for _ in 0..<header.types {
      let offset = Int64(Int32(truncatingIfNeeded: try records.number(4)))
      guard TimeZoneRules.offsets.contains(offset) else {
        throw Malformed(problem: "an offset of \(offset) s")
      }
      offsets.append(offset)
      _ = try records.take(2)
    }
    // "local time for timestamps before the first transition is specified by the first time type"
    guard let first = offsets.first else { throw Malformed(problem: "no offset") }
    table = OffsetTable(offset: first)
    for _ in 0..<header.times {
      let time = Int64(truncatingIfNeeded: try times.number(8))
      let kind = Int(try kinds.number(1))
      guard offsets.indices.contains(kind) else {
        throw Malformed(problem: "an offset that it does not define")
      }
      if let last = table.changes.last, time <= last { throw Malformed(problem: "changes in disorder") }
      table.append(offsets[kind], from: time)
    }
  }

  /// The rule between two newlines at the end of the file, as in the environment variable `TZ`.
  private static func footer(_ input: inout Input) throws(Malformed) -> YearlyRule? {
    guard try input.number(1) == UInt8(ascii: "\n"), let end = input.bytes.firstIndex(of: UInt8(ascii: "\n"))
    else { throw Malformed(problem: "no footer") }
    let text = input.bytes[..<end]
    if text.isEmpty { return nil }
    guard text.count <= 128, let parsed = TZString(text) else {
      throw Malformed(problem: "a rule that is not valid")
    }
    return parsed.rule
  }

  /// The numbers of elements in a block of data.
  private struct Header {
    var version: UInt8
    var leapSeconds, times, types: Int
    private var names, standards, universals: Int

    init(_ input: inout Input) throws(Malformed) {
      guard try input.take(4).elementsEqual("TZif".utf8) else { throw Malformed(problem: "no TZif file") }
      version = UInt8(try input.number(1))
      _ = try input.take(15)
      universals = Int(try input.number(4))
      standards = Int(try input.number(4))
      leapSeconds = Int(try input.number(4))
      times = Int(try input.number(4))
      types = Int(try input.number(4))
      names = Int(try input.number(4))
    }

    func size(ofTime size: Int) -> Int {
      times * (size + 1) + types * 6 + names + leapSeconds * (size + 4) + standards + universals
    }
  }

  private struct Input {
    var bytes: ArraySlice<UInt8>

    mutating func take(_ count: Int) throws(Malformed) -> ArraySlice<UInt8> {
      guard count <= bytes.count else { throw Malformed(problem: "it is cut off") }
      defer { bytes = bytes.dropFirst(count) }
      return bytes.prefix(count)
    }

    /// Reads a big-endian number.
    mutating func number(_ size: Int) throws(Malformed) -> UInt64 {
      try take(size).reduce(0) { $0 << 8 | UInt64($1) }
    }
  }
}
