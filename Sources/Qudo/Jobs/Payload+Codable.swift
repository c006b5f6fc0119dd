#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

// Listings of jobs are written as JSON by applications that show them.

extension Payload: Codable {
  private enum CodingKeys: String, CodingKey { case bytes, codec }

  /// Reads `bytes`, which JSON has in Base64, and the number of the `codec`.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      [UInt8](try container.decode(Data.self, forKey: .bytes)),
      codec: try container.decode(CodecID.self, forKey: .codec))
  }

  /// Writes `bytes`, which JSON has in Base64, and the number of the `codec`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Data(bytes), forKey: .bytes)
    try container.encode(codec, forKey: .codec)
  }
}

extension CodecID: Codable {
  /// Reads the number.
  public init(from decoder: any Decoder) throws {
    self.init(try decoder.singleValueContainer().decode(Int64.self))
  }

  /// Writes the number.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(number)
  }
}

extension Kind: Codable {
  /// Reads the name.
  public init(from decoder: any Decoder) throws {
    self.init(try decoder.singleValueContainer().decode(String.self))
  }

  /// Writes the name.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(name)
  }
}

extension JobMetadata: Codable {
  /// Reads a dictionary of texts. The entries are in the order of their names.
  public init(from decoder: any Decoder) throws {
    let entries = try decoder.singleValueContainer().decode([String: String].self)
    self.init()
    for (name, text) in entries.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
      self[name] = text
    }
  }

  /// Writes a dictionary of texts.
  public func encode(to encoder: any Encoder) throws {
    var entries: [String: String] = [:]
    for name in names { entries[name] = self[name] }
    var container = encoder.singleValueContainer()
    try container.encode(entries)
  }
}
