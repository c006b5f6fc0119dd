/// The name that selects a job's handler, such as `mail.send`.
///
/// Kinds are compared as UTF-8 bytes, in memory and in the database: `é` as one scalar and `é` as two are
/// different kinds, although Swift's `String` treats them as equal.
public struct Kind: Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// The name: 1 to 255 bytes of UTF-8 without NUL. Enqueues and workers refuse any other.
  public let name: String

  /// Creates a kind without checking the name.
  public init(_ name: String) { self.name = name }
  public init(stringLiteral value: String) { self.name = value }
  public var description: String { name }
}

extension Kind: Hashable, Comparable {
  // Called several times per job. `elementsEqual` of the UTF-8 views took 440 instructions for a short name.
  public static func == (a: Kind, b: Kind) -> Bool {
    var (a, b) = (a.name, b.name)
    return a.withUTF8 { a in
      b.withUTF8 { b in
        guard a.count == b.count else { return false }
        for index in 0..<a.count where a[index] != b[index] { return false }
        return true
      }
    }
  }
  public static func < (a: Kind, b: Kind) -> Bool { a.name.utf8.lexicographicallyPrecedes(b.name.utf8) }
  public func hash(into hasher: inout Hasher) {
    var name = name
    name.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    hasher.combine(0xFF as UInt8)
  }
}
