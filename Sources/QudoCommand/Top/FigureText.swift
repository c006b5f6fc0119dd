internal import Qudo

/// Figures in few columns.
enum FigureText {
  /// At most six columns: `99,999`, `123k`, `1.23M`.
  static func count(_ number: Int) -> String {
    if number < 0 { return "-" + count(number == .min ? .max : -number) }
    if number < 1000 { return "\(number)" }
    if number < 100_000 {
      let rest = "\(number % 1000)"
      return "\(number / 1000)," + String(repeating: "0", count: 3 - rest.count) + rest
    }
    return short(Double(number))
  }

  /// At most five columns: `0`, `0.4`, `12`, `1.2k`, `12k`, `1.2M`; a dash if it is unknown.
  static func rate(_ rate: Double?) -> String {
    guard let rate, rate.isFinite else { return "-" }
    if rate < 0 { return "-" + self.rate(-rate) }
    if rate < 0.05 { return "0" }
    if rate < 9.95 { return tenths(rate) }
    return rate < 1000 ? "\(Int(rate.rounded()))" : short(rate)
  }

  /// As ``rate(_:)``, with a sign.
  static func change(_ rate: Double?) -> String {
    let text = self.rate(rate)
    return rate.map { $0 > 0 && text != "0" } == true ? "+" + text : text == "-0" ? "0" : text
  }

  /// At most six columns: `850us`, `4.2ms`, `120ms`, `4.2s`, `42s`, `12m05s`, `3h05m`, `12d03h`; a dash if it is unknown.
  static func duration(_ duration: Duration?) -> String {
    guard let duration else { return "-" }
    let whole = max(0, duration.wholeMicroseconds)
    if whole == 0 { return "0s" }
    if whole < 1000 { return "\(whole)us" }
    if whole < 9950 { return tenths(Double(whole) / 1000) + "ms" }
    if whole < 999_500 { return "\((whole + 500) / 1000)ms" }
    if whole < 9_950_000 { return tenths(Double(whole) / 1_000_000) + "s" }
    let seconds = (whole + 500_000) / 1_000_000
    if seconds < 60 { return "\(seconds)s" }
    if seconds < 3600 { return "\(seconds / 60)m\(two(seconds % 60))s" }
    if seconds < 86_400 { return "\(seconds / 3600)h\(two(seconds % 3600 / 60))m" }
    let days = seconds / 86_400
    return days < 100 ? "\(days)d\(two(seconds % 86_400 / 3600))h" : days < 100_000 ? "\(days)d" : ">270y"
  }

  /// At most six columns: `512B`, `12.4kB`, `124MB`; a dash if it is unknown.
  static func bytes(_ bytes: Int64?) -> String {
    guard let bytes else { return "-" }
    if bytes < 1000 { return "\(max(bytes, 0))B" }
    var (value, units) = (Double(bytes) / 1000, ["kB", "MB", "GB", "TB", "PB", "EB"][...])
    while value >= 999.5, units.count > 1 {
      value /= 1000
      units = units.dropFirst()
    }
    return (value < 99.95 ? tenths(value) : "\(Int(value.rounded()))") + (units.first ?? "")
  }

  private static func short(_ number: Double) -> String {
    var (value, units) = (number / 1000, ["k", "M", "G", "T"][...])
    while value >= 999.5, units.count > 1 {
      value /= 1000
      units = units.dropFirst()
    }
    return (value < 9.95 ? tenths(value) : "\(Int(min(value, 1e9).rounded()))") + (units.first ?? "")
  }

  /// With one decimal, unless that is zero.
  private static func tenths(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
  }

  private static func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }

  /// Returns a line of bars, the newest at the right, from zero to the highest value.
  ///
  /// - Parameter values: The values, oldest first; nil where one is unknown.
  static func sparkline(_ values: [Double?], _ width: Int, ascii: Bool) -> String {
    let shown = values.suffix(max(width, 0))
    let bars = Array(ascii ? "_.-=+*#@" : "▁▂▃▄▅▆▇█")
    let highest = shown.compactMap(\.self).max() ?? 0
    let line = shown.map { value -> Character in
      guard let value, value.isFinite else { return " " }
      guard highest > 0, value > 0 else { return bars[0] }
      return bars[min(bars.count - 1, Int(value / highest * Double(bars.count - 1) + 0.5))]
    }
    return String(repeating: " ", count: max(width, 0) - line.count) + String(line)
  }
}
