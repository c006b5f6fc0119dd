extension Duration {
  /// Parses a duration such as `1500ms`, `90s`, `1.5h`, `1h30m` or `2d`.
  ///
  /// The units are us, ms, s, m, h and d, each at most once, from large to small. The default unit is
  /// seconds.
  ///
  /// - Throws: ``QudoError/Code/invalidArgument`` for any other text, and for more than 100,000 days.
  package init(parsing text: String) throws(QudoError) {
    let refusal = QudoError(
      .invalidArgument,
      "'\(text.prefix(40))' is not a duration of at most 100000d: write for example 500ms, 90s, 1h30m or 2d")
    var rest = Substring(text).utf8[...]
    var total: Int64 = 0
    var last = Int64.max
    guard !rest.isEmpty else { throw refusal }
    while !rest.isEmpty {
      let number = rest.prefix {
        $0 == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
      }
      rest = rest[number.endIndex...]
      let unit = rest.prefix { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
      rest = rest[unit.endIndex...]
      guard let size = Self.unit(String(Substring(unit))), size < last else { throw refusal }
      if unit.isEmpty, last != .max { throw refusal }
      guard let part = Self.microseconds(String(Substring(number)), unit: size), part <= Self.longest - total
      else { throw refusal }
      total += part
      last = size
    }
    self = .microseconds(total)
  }

  /// The text for ``init(parsing:)`` in two units, or with two decimals: `15.87s`, `250ms`, `1h30m`, `2d`.
  package var inUnits: String {
    let (sign, whole) =
      wholeMicroseconds < 0 ? ("-", wholeMicroseconds.magnitude) : ("", wholeMicroseconds.magnitude)
    if whole < 1000 { return "\(sign)\(whole)us" }
    if whole < 1_000_000 { return sign + Self.hundredths((whole + 5) / 10) + "ms" }
    if whole < 60_000_000 { return sign + Self.hundredths((whole + 5000) / 10_000) + "s" }
    let seconds = (whole + 500_000) / 1_000_000
    let parts =
      seconds < 3600
      ? [(seconds / 60, "m"), (seconds % 60, "s")]
      : seconds < 86_400
        ? [(seconds / 3600, "h"), (seconds % 3600 / 60, "m")]
        : [(seconds / 86_400, "d"), (seconds % 86_400 / 3600, "h")]
    return sign + parts.filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined()
  }

  /// Formats `1587` as `15.87`, and `1500` as `15`.
  private static func hundredths(_ number: UInt64) -> String {
    let (whole, rest) = (number / 100, number % 100)
    if rest == 0 { return "\(whole)" }
    return "\(whole)." + (rest % 10 == 0 ? "\(rest / 10)" : (rest < 10 ? "0" : "") + "\(rest)")
  }

  private static let longest: Int64 = 100_000 * 86_400_000_000

  private static func unit(_ name: String) -> Int64? {
    switch name {
    case "us": 1
    case "ms": 1000
    case "", "s": 1_000_000
    case "m": 60_000_000
    case "h": 3_600_000_000
    case "d": 86_400_000_000
    default: nil
    }
  }

  /// Parses digits with at most one point between them. Digits beyond a microsecond are cut off.
  private static func microseconds(_ number: String, unit: Int64) -> Int64? {
    let parts = number.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty }), parts[0].utf8.count <= 15,
      let whole = Int64(parts[0])
    else { return nil }
    let (big, overflow) = whole.multipliedReportingOverflow(by: unit)
    guard !overflow, big <= longest else { return nil }
    guard parts.count == 2 else { return big }
    var fraction: Int64 = 0
    var place = unit
    for digit in parts[1].utf8.prefix(20) {
      fraction += place * Int64(digit - UInt8(ascii: "0")) / 10
      place /= 10
    }
    return big + fraction
  }
}
