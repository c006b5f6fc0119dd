/// A job's id: the name of its database and its number there. Its text is `DATABASE/NUMBER`.
public struct JobID: Hashable, Sendable {
  /// The database's stable name: ``Driver/name``.
  public let database: String
  /// The job's number in that database, which no other job of the database gets.
  public let number: Int64

  /// Creates an id from a database's name and a number.
  public init(database: String, number: Int64) {
    self.database = database
    self.number = number
  }
}

extension JobID: LosslessStringConvertible {
  /// The id's text: `jobs/42`.
  public var description: String { "\(database)/\(number)" }

  /// Reads an id's text, the number after the last slash. Nil if the text is not that of an id.
  public init?(_ description: String) {
    guard let slash = description.utf8.lastIndex(of: UInt8(ascii: "/")), slash != description.startIndex,
      let number = Int64(description[description.utf8.index(after: slash)...])
    else { return nil }
    self.init(database: String(description[..<slash]), number: number)
    // No plus sign and no zeros before the number: an id has one text.
    guard self.description == description else { return nil }
  }
}

extension JobID: Codable {
  /// Reads the id's text.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let id = JobID(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\(text) is not the id of a job, such as jobs/42")
    }
    self = id
  }

  /// Writes the id's text.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
