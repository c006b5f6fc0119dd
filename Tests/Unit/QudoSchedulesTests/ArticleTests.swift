import Foundation
import Qudo
import Testing

@testable import QudoSchedules

/// What the article "Cron" shows.
@Suite struct ArticleTests {
  @Test("its Swift is this") func swift() throws {
    let now = at("2026-03-28T12:00:00Z")
    let nightly = try CronExpression("30 2 * * *")
    let berlin = try TimeZoneRules(named: "Europe/Berlin")
    let next = nightly.next(after: now, in: berlin)
    #expect(next == at("2026-03-29T01:00:00Z"))

    let lastRun = at("2026-03-01T12:00:00Z")
    let latest = nightly.ticks(after: lastRun, through: now, in: berlin, last: 1)
    #expect(latest == [at("2026-03-28T01:30:00Z")])

    let tested = Set(try Self.read(#filePath).split(separator: "\n").map(Self.trimmed))
    let blocks = try article().components(separatedBy: "```swift\n").dropFirst()
    let lines = blocks.flatMap { ($0.components(separatedBy: "\n```").first ?? "").split(separator: "\n") }
    #expect(lines.count == 5)
    #expect(lines.filter { !tested.contains(Self.trimmed($0)) } == [])
  }

  @Test("its table of the clock changes is the matrix of the tests") func matrix() throws {
    let rows = try article().split(separator: "\n").filter { $0.hasPrefix("| `") && $0.contains("Z |") }
    let cells =
      ClockChangeTests.berlin + ClockChangeTests.newYork + ClockChangeTests.lordHowe + ClockChangeTests.apia
    let expected = cells.map { cell in
      "| `\(cell.expression)` | \(cell.name) | \(cell.zone) | "
        + cell.ticks.map {
          $0.replacingOccurrences(of: "T", with: " ").replacingOccurrences(of: ":00Z", with: "Z")
        }
        .joined(separator: ", ") + " |"
    }
    #expect(rows.map(String.init) == expected)
    if rows.map(String.init) != expected { Issue.record("\(expected.joined(separator: "\n"))") }
  }

  private func article() throws -> String { try Self.article("Cron") }

  static func article(_ name: String) throws -> String {
    let folder = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized
    return try read(
      folder.appendingPathComponent("Sources/QudoSchedules/QudoSchedules.docc/\(name).md").path)
  }

  static func read(_ path: String) throws -> String {
    try String(contentsOfFile: path, encoding: .utf8)
  }

  static func trimmed(_ line: Substring) -> Substring { line.drop(while: \.isWhitespace) }
}

/// What the article "Schedules" shows.
@Suite struct SchedulingArticleTests {
  struct Report: Job {
    static let kind: Kind = "report"

    func perform(_ context: JobContext) async throws {
      let night = context.scheduledFor ?? context.enqueuedAt
      #expect(night > .earliest)
    }
  }

  @Test("its Swift is this") func swift() async throws {
    let file = try ScheduleFile()
    let queue = file.queue
    let nightly = Schedule("nightly", try .cron("30 2 * * *", in: "Europe/Berlin"), Report())
    let pulse = Schedule("pulse", .every(.seconds(30)), Report(), missed: .skip, skipsOverlap: true)
    let worker = try Worker(queue, handlers: [Report.self], plugins: [Schedules([nightly, pulse])])
    #expect(try await worker.workOnce() == false)
    #expect(try await queue.schedules.all().map(\.schedule.name) == ["nightly", "pulse"])

    try await queue.schedules.add(nightly)
    try await queue.schedules.pause("nightly", reason: "the printer is broken")
    try await queue.schedules.resume("nightly")
    let id = try await queue.schedules.runNow("nightly")
    let all = try await queue.schedules.all()
    let next = try all.first?.nextTicks(3)
    try await queue.schedules.remove("nightly")
    #expect(
      next?.map(\.short) == ["2026-11-30T01:30:00Z", "2026-12-01T01:30:00Z", "2026-12-02T01:30:00Z"])
    #expect(try await queue.outcome(of: try #require(id)).isUnfinished)

    let tested = Set(try ArticleTests.read(#filePath).split(separator: "\n").map(ArticleTests.trimmed))
    let blocks = try ArticleTests.article("Scheduling").components(separatedBy: "```swift\n").dropFirst()
    let lines = blocks.flatMap { ($0.components(separatedBy: "\n```").first ?? "").split(separator: "\n") }
    #expect(lines.count == 12)
    #expect(lines.filter { !tested.contains(ArticleTests.trimmed($0)) } == [])
  }
}
