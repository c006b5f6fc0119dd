internal import Qudo

/// Formats numbers for people.
enum Figures {
  /// Formats 1234567 as `1,234,567`.
  static func grouped(_ number: Int) -> String {
    var text = ""
    for (index, digit) in "\(number)".reversed().enumerated() {
      if index > 0, index % 3 == 0, digit != "-" { text.append(",") }
      text.append(digit)
    }
    return String(text.reversed())
  }

  static func rate(_ count: Int, in time: Duration) -> String {
    grouped(Int(Double(count) * 1_000_000 / Double(max(time.wholeMicroseconds, 1)))) + " jobs/s"
  }

  /// Formats the percentile `share` of the times as `0.42 ms`.
  static func percentile(_ share: Double, of times: [Duration]) -> String {
    guard !times.isEmpty else { return "-" }
    let index = min(times.count - 1, max(0, Int((share * Double(times.count)).rounded(.up)) - 1))
    let hundredths = (times.sorted()[index].wholeMicroseconds + 5) / 10
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) ms"
  }
}
