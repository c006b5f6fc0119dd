internal import Qudo

/// Parses the fields of a cron expression.
struct CronParser {
  /// The fields, joined by one space.
  let text: String
  private(set) var pattern = CronPattern()

  /// - Throws: ``QudoError/Code/invalidArgument`` with the field, what is wrong and what is allowed.
  init(_ text: String) throws(QudoError) {
    let fields = try Self.fields(of: text)
    self.text = fields.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
    let upper = fields.map { $0.map(\.uppercased) }
    if fields.count == 1, upper[0].first == UInt8(ascii: "@") {
      try parse(try nickname(upper[0]))
    } else {
      try parse(upper)
    }
  }

  /// Splits a text at spaces and tabs, within the limits for its length and characters.
  private static func fields(of text: String) throws(QudoError) -> [ArraySlice<UInt8>] {
    // A second, minute, hour, day, month and weekday for each of their values take 561 bytes.
    guard text.utf8.count <= CronExpression.maxLength else {
      throw QudoError(
        .invalidArgument,
        "the cron expression '\(shown(text.utf8.prefix(41)))' has \(text.utf8.count) bytes: give at most "
          + "\(CronExpression.maxLength)")
    }
    let bytes = Array(text.utf8)
    guard bytes.allSatisfy({ $0 == UInt8(ascii: "\t") || (0x20...0x7e).contains($0) }) else {
      throw QudoError(
        .invalidArgument,
        "the cron expression '\(shown(bytes))' has a character that is not allowed: give letters, digits and "
          + "* ? , - / # @ in ASCII, with spaces between the fields")
    }
    return bytes.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
  }

  /// The fields for which a nickname stands.
  private func nickname(_ name: [UInt8]) throws(QudoError) -> [[UInt8]] {
    let fields: String? =
      switch String(decoding: name, as: UTF8.self) {
      case "@YEARLY", "@ANNUALLY": "0 0 1 1 *"
      case "@MONTHLY": "0 0 1 * *"
      case "@WEEKLY": "0 0 * * 0"
      case "@DAILY", "@MIDNIGHT": "0 0 * * *"
      case "@HOURLY": "0 * * * *"
      default: nil
      }
    guard let fields else {
      throw refusal(
        "is not a known name", "give @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly")
    }
    return fields.utf8.split(separator: UInt8(ascii: " ")).map(Array.init)
  }

  private mutating func parse(_ fields: [[UInt8]]) throws(QudoError) {
    guard fields.count == 5 || fields.count == 6 else {
      throw refusal(
        "has \(fields.count) field\(fields.count == 1 ? "" : "s")",
        "give 5 (minute, hour, day of month, month, day of week), or 6 with the second before them")
    }
    let kinds = CronField.allCases.suffix(fields.count)
    for (field, text) in zip(kinds, fields) { try parse(text, as: field) }
    if fields.count == 5 { pattern.seconds = 1 }
    let (days, weekdays) = (fields[fields.count - 3], fields[fields.count - 1])
    pattern.matchesEitherDay = !Self.isUnrestricted(days) && !Self.isUnrestricted(weekdays)
  }

  /// Vixie cron's rule: a field that begins with `*` is unrestricted, even if it has a step.
  private static func isUnrestricted(_ field: [UInt8]) -> Bool {
    field.first == UInt8(ascii: "*") || field.first == UInt8(ascii: "?")
  }

  private mutating func parse(_ text: [UInt8], as field: CronField) throws(QudoError) {
    if text == [UInt8(ascii: "?")], field == .dayOfMonth || field == .dayOfWeek {
      return insert(Self.all(of: field), into: field)
    }
    for part in text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      let item = CronItem(field: field, text: part, expression: self.text)
      if try !item.parseDay(into: &pattern) { insert(try item.values(), into: field) }
    }
  }

  private static func all(of field: CronField) -> UInt64 {
    field.values.reduce(0) { $0 | 1 << UInt64($1) }
  }

  private mutating func insert(_ values: UInt64, into field: CronField) {
    switch field {
    case .second: pattern.seconds |= values
    case .minute: pattern.minutes |= values
    case .hour: pattern.hours |= values
    case .dayOfMonth: pattern.days |= values
    case .month: pattern.months |= values
    case .dayOfWeek: pattern.weekdays |= values
    }
  }

  /// An error for the whole expression.
  func refusal(_ problem: String, _ advice: String) -> QudoError {
    QudoError(.invalidArgument, "the cron expression '\(Self.shown(text.utf8))' \(problem): \(advice)")
  }

  /// The start of a text without control characters, for messages.
  static func shown(_ bytes: some Collection<UInt8>) -> String {
    let start = bytes.prefix(40).map { (0x20...0x7e).contains($0) ? $0 : UInt8(ascii: "?") }
    return String(decoding: start, as: UTF8.self) + (bytes.count > 40 ? "…" : "")
  }
}

extension UInt8 {
  fileprivate var uppercased: UInt8 {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) ? self - 0x20 : self
  }
}
