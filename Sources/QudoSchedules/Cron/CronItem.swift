internal import Qudo

/// One item of the list in a field of a cron expression, in upper case: `5`, `*/15`, `22-6/2`, `FRI#2`.
struct CronItem {
  let field: CronField
  let text: ArraySlice<UInt8>
  /// The whole expression, for messages.
  let expression: String

  /// Parses an item of numbers, names, ranges and steps, and returns the values that it matches.
  func values() throws(QudoError) -> UInt64 {
    let parts = text.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
    let step = parts.count == 2 ? try self.step(parts[1]) : 1
    let (first, last) = try bounds(parts[0], hasStep: parts.count == 2)
    var values: UInt64 = 0
    // A range whose end is before its start continues after the highest value: 22-6 is 22, 23, 0 to 6.
    let size = field.values.count
    for value in stride(from: first, through: last < first ? last + size : last, by: step) {
      values |= 1 << UInt64((value - field.values.lowerBound) % size + field.values.lowerBound)
    }
    return values
  }

  /// The first and last value of a range. A start without an end has one value; with a step it has all from
  /// there.
  private func bounds(_ range: ArraySlice<UInt8>, hasStep: Bool) throws(QudoError) -> (Int, Int) {
    let (lowest, highest) = (field.values.lowerBound, field.values.upperBound)
    if range.elementsEqual([UInt8(ascii: "*")]) { return (lowest, highest) }
    let ends = range.split(separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
    let first = try value(ends[0])
    guard ends.count == 2 else {
      return (first % (highest + 1), hasStep ? highest : first % (highest + 1))
    }
    let last = try value(ends[1])
    // 5-7 ends with Sunday, 7-2 begins with it.
    return first > last ? (first % (highest + 1), last) : (first, last)
  }

  private func step(_ digits: ArraySlice<UInt8>) throws(QudoError) -> Int {
    let size = field.values.count
    guard let step = Self.number(digits), (1...size).contains(step) else {
      throw refusal("has the step '\(CronParser.shown(digits))'", "give a step from 1 to \(size)")
    }
    return step
  }

  /// Parses a number or a name of the field.
  private func value(_ text: ArraySlice<UInt8>) throws(QudoError) -> Int {
    if let name = field.valueNames.firstIndex(where: { $0.matches(text) }) {
      return name + field.values.lowerBound
    }
    guard !text.isEmpty else { throw refusal("lacks a value", field.allowed) }
    guard let number = Self.number(text) else {
      let other = text.elementsEqual(self.text) ? "" : " at '\(CronParser.shown(text))'"
      throw refusal("is not valid\(other)", field.allowed)
    }
    guard (field.values.lowerBound...field.highest).contains(number) else {
      let bound =
        number < field.values.lowerBound ? "below \(field.values.lowerBound)" : "above \(field.highest)"
      throw refusal("is \(bound)", field.allowed)
    }
    return number
  }

  /// Parses decimal digits; nil for any other text. Numbers above 999 count as 999, however long they are.
  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    guard !digits.isEmpty else { return nil }
    var number = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      number = min(number * 10 + Int(digit - UInt8(ascii: "0")), 999)
    }
    return number
  }

  /// Parses an item that depends on the month: `L`, `L-3`, `LW`, `15W`, `FRI#2`, `FRIL`.
  ///
  /// - Returns: False if the item is none of them.
  func parseDay(into pattern: inout CronPattern) throws(QudoError) -> Bool {
    switch field {
    case .dayOfMonth: try parseDayOfMonth(into: &pattern)
    case .dayOfWeek: try parseDayOfWeek(into: &pattern)
    default: false
    }
  }

  private func parseDayOfMonth(into pattern: inout CronPattern) throws(QudoError) -> Bool {
    if text.elementsEqual("L".utf8) {
      pattern.daysBeforeEnd |= 1
    } else if text.elementsEqual("LW".utf8) {
      pattern.hasLastWeekday = true
    } else if text.starts(with: "L-".utf8) {
      guard let before = Self.number(text.dropFirst(2)), (1...30).contains(before) else {
        throw refusal("is not valid after L-", "give L-1 to L-30, the days before the last day")
      }
      pattern.daysBeforeEnd |= 1 << UInt64(before)
    } else if text.last == UInt8(ascii: "W"), text.count > 1 {
      pattern.daysNearWeekday |= 1 << UInt64(try value(text.dropLast()))
    } else {
      return false
    }
    return true
  }

  private func parseDayOfWeek(into pattern: inout CronPattern) throws(QudoError) -> Bool {
    if let sign = text.firstIndex(of: UInt8(ascii: "#")) {
      let weekday = try value(text[..<sign]) % 7
      guard let number = Self.number(text[(sign + 1)...]), (1...5).contains(number) else {
        throw refusal("is not valid after #", "give #1 to #5, for the first to fifth such day of the month")
      }
      pattern.nthWeekdays |= 1 << UInt64(weekday * 5 + number - 1)
    } else if text.last == UInt8(ascii: "L") {
      guard text.count > 1 else {
        throw refusal("lacks the day before L", "give 5L or FRIL for the last Friday of the month")
      }
      pattern.lastWeekdays |= 1 << UInt64(try value(text.dropLast()) % 7)
    } else {
      return false
    }
    return true
  }

  private func refusal(_ problem: String, _ advice: String) -> QudoError {
    QudoError(
      .invalidArgument,
      "the \(field.name) '\(CronParser.shown(text))' of the cron expression "
        + "'\(CronParser.shown(expression.utf8))' \(problem): \(advice)")
  }
}

extension StaticString {
  fileprivate func matches(_ text: ArraySlice<UInt8>) -> Bool {
    withUTF8Buffer { $0.elementsEqual(text) }
  }
}
