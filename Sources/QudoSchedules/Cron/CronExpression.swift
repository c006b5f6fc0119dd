public import Qudo

/// A cron expression: the minutes, hours and days at which something happens, by the clock of a time zone.
///
/// An expression has five fields: minute, hour, day of month, month, day of week. With six, the second comes
/// first, as in Quartz and Spring; croniter reads it last by default. For example:
///
///     let nightly = try CronExpression("30 2 * * *")
///     let next = nightly.next(after: now, in: try TimeZoneRules(named: "Europe/Berlin"))
///
/// | field | values | also |
/// |---|---|---|
/// | second | 0–59 | |
/// | minute | 0–59 | |
/// | hour | 0–23 | |
/// | day of month | 1–31 | `?`, `L`, `L-3`, `15W`, `LW` |
/// | month | 1–12, `JAN`–`DEC` | |
/// | day of week | 0–7, `SUN`–`SAT` | `?`, `FRI#2`, `FRIL` |
///
/// Each field takes `*`, ranges, steps and lists of them. If day of month and day of week are both
/// restricted, a day matches if either does. The article <doc:Cron> describes the syntax, and what happens
/// when the clocks change.
///
/// Two expressions are equal if their texts are, apart from spaces: `0 0 * * 0` and `0 0 * * SUN` are not
/// equal.
public struct CronExpression: Sendable, Hashable {
  /// The maximum length of the text, in bytes of UTF-8.
  public static let maxLength = 1024

  /// The text, with one space between fields.
  private let text: String
  let pattern: CronPattern

  /// Parses an expression with five or six fields, or one of `@yearly`, `@annually`, `@monthly`, `@weekly`,
  /// `@daily`, `@midnight` and `@hourly`, in any case.
  ///
  /// An expression that never matches, such as 30 February, is valid: ``next(after:in:)`` returns nil.
  ///
  /// - Throws: ``/Qudo/QudoError/Code/invalidArgument`` if the text is not a cron expression; the message
  ///   names the field, what is wrong and what is allowed.
  public init(_ text: String) throws(QudoError) {
    let parser = try CronParser(text)
    self.text = parser.text
    pattern = parser.pattern
  }
}

extension CronExpression: CustomStringConvertible, Codable {
  /// The text that ``init(_:)`` parses, with one space between fields.
  public var description: String { text }

  /// Decodes the text.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    do {
      try self.init(text)
    } catch {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: error.message)
    }
  }

  /// Encodes the text.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}
