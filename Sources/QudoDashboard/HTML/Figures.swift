#if Dashboard
internal import Qudo

/// Numbers, sizes and durations for people.
enum Figures {
  /// A narrow space at which no line breaks, between groups of digits and before units.
  static let thin = "\u{202F}"

  /// A whole number: `1 000 000`, with thin spaces.
  static func count(_ number: some BinaryInteger) -> String {
    let digits = String(number.magnitude)
    guard digits.count > 3 else { return number < 0 ? "−\(digits)" : digits }
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3) { text += thin }
      text.append(digit)
    }
    return number < 0 ? "−\(text)" : text
  }

  /// A size: `1.2 MB`.
  static func bytes(_ number: some BinaryInteger) -> String {
    guard number >= 1000 else { return "\(count(number))\(thin)B" }
    var value = Double(number)
    for unit in ["kB", "MB", "GB", "TB"] {
      value /= 1000
      if value < 999.5 || unit == "TB" { return "\(short(value))\(thin)\(unit)" }
    }
    return ""
  }

  /// A rate: `12.5/s`, or `3/min` if it is slower than once a second.
  static func rate(_ perSecond: Double) -> String {
    if perSecond <= 0 || !perSecond.isFinite { return "0/s" }
    if perSecond >= 0.95 { return "\(short(perSecond))/s" }
    return "\(short(max(perSecond * 60, 0.1)))/min"
  }

  /// A duration in one or two units: `450 µs`, `1.2 s`, `2 h 5 min`.
  static func duration(_ duration: Duration) -> String {
    let micros = duration.wholeMicroseconds
    guard micros >= 0 else { return "−" + self.duration(.microseconds(micros == .min ? .max : -micros)) }
    switch micros {
    case ..<1000: return "\(micros)\(thin)µs"
    case ..<999_500: return "\(short(Double(micros) / 1000))\(thin)ms"
    case ..<59_950_000: return "\(short(Double(micros) / 1_000_000))\(thin)s"
    default: break
    }
    let seconds = micros / 1_000_000
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400)
    if hours == 0 { return pair(minutes, "min", minutes < 10 ? seconds % 60 : 0, "s") }
    if days == 0 { return pair(hours, "h", minutes % 60, "min") }
    return pair(days, "d", days < 10 ? hours % 24 : 0, "h")
  }

  private static func pair(_ first: Int64, _ unit: String, _ second: Int64, _ small: String) -> String {
    let text = "\(count(first))\(thin)\(unit)"
    return second == 0 ? text : "\(text)\(thin)\(second)\(thin)\(small)"
  }

  /// Three significant digits: `0.25`, `1.2`, `37`, `1 204`.
  static func short(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "∞" }
    let magnitude = abs(value)
    let decimals: Int64 = magnitude >= 99.95 ? 1 : magnitude >= 0.995 ? 10 : 100
    let scaled = Int64((value * Double(decimals)).rounded())
    let (whole, rest) = scaled.quotientAndRemainder(dividingBy: decimals)
    guard rest != 0 else { return count(whole) }
    var digits = String(rest.magnitude)
    if decimals == 100, digits.count == 1 { digits = "0" + digits }
    while digits.last == "0" { digits.removeLast() }
    return "\(scaled < 0 && whole == 0 ? "−" : "")\(count(whole)).\(digits)"
  }
}

extension HTML {
  /// A time: relative, with the absolute one for programs and on hovering.
  ///
  /// - Parameter now: The time that it is relative to.
  static func time(_ time: Timestamp, _ now: Timestamp) -> HTML {
    let iso = "\(time)"
    let second = iso.prefix(19).replacing("T", with: " ")
    let (a, b) = (time.microseconds, now.microseconds)
    let (difference, isBeyond) = b.subtractingReportingOverflow(a)
    let text: String
    if isBeyond || abs(difference / 1_000_000) > 366 * 86_400 {
      text = String(second.prefix(10))
    } else if abs(difference) < 1_000_000 {
      text = "now"
    } else {
      let words = Figures.duration(.seconds(abs(difference / 1_000_000)))
      text = difference > 0 ? "\(words) ago" : "in \(words)"
    }
    return "<time datetime=\"\(iso)\" title=\"\(second + " UTC")\">\(text)</time>"
  }

  /// A time, or a dash.
  static func time(_ time: Timestamp?, _ now: Timestamp) -> HTML {
    guard let time else { return .none }
    return .time(time, now)
  }

  /// A dash where there is nothing to show.
  static let none: HTML = "<span class=\"none\" aria-label=\"none\">–</span>"
}
#endif
