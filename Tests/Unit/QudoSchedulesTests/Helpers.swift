import Foundation
import Qudo
import Testing

@testable import QudoSchedules

/// An instant, from ISO 8601.
func at(_ text: String) -> Timestamp {
  guard let (seconds, nanoseconds) = ISO8601.parse(text) else {
    Issue.record("\(text) is not a time")
    return .earliest
  }
  return Timestamp(microseconds: seconds * 1_000_000 + nanoseconds / 1000)
}

extension Timestamp {
  init(second: Int64) { self.init(microseconds: second * 1_000_000) }

  /// The whole second.
  var second: Int64 { microseconds.flooredQuotient(by: 1_000_000) }

  /// Without the fraction, which ticks do not have.
  var short: String { ISO8601.text(seconds: second) + "Z" }
}

extension CronExpression {
  /// The next ticks, as text.
  func next(_ count: Int, after time: String, in zone: TimeZoneRules = .utc) -> [String] {
    ticks(after: at(time), through: .latest, in: zone, first: count).map(\.short)
  }

  /// The previous ticks, the latest one last, as text.
  func previous(_ count: Int, before time: String, in zone: TimeZoneRules = .utc) -> [String] {
    let end = Timestamp(microseconds: at(time).microseconds - 1)
    return ticks(after: .earliest, through: end, in: zone, last: count).map(\.short)
  }
}

/// The time zones and ticks that `vectors.py` wrote.
enum Vectors {
  static let lines: [Substring] = {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "vectors.txt")
    return ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n")
  }()

  /// Files that the tests bring with them, so that a new version of the system's database changes no result.
  static let files: [String: [UInt8]] = Dictionary(
    uniqueKeysWithValues: lines.filter { $0.hasPrefix("zone ") }.map {
      let words = $0.split(separator: " ")
      return (String(words[1]), [UInt8](Data(base64Encoded: String(words[2])) ?? Data()))
    })

  static func zone(_ name: String) throws -> TimeZoneRules {
    if name == "UTC" { return .utc }
    return try TimeZoneRules(name: name, file: try #require(files[name]))
  }
}
