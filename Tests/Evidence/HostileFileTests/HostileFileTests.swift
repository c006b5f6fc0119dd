import Evidence
import Foundation
import Testing

/// Files that are damaged, or made by an attacker. They are opened and used in a separate process, which may crash.
@Suite(.enabled(if: Evidence.isAsked)) struct HostileFileTests {
  /// A case that was not as it should be.
  private struct Finding: CustomStringConvertible {
    let seed: UInt64
    let number: Int
    let name: String
    let what: String
    var description: String { "seed \(seed), case \(number) (\(name)): \(what)" }
  }

  private struct Tally {
    var cases = 0
    var skipped = 0
    var answers: [String: Int] = [:]
    var findings: [Finding] = []
  }

  @Test(
    "No file crashes or hangs Qudo or runs what is planted in it, and each error says what is wrong",
    .timeLimit(.minutes(30)))
  func noFileCrashesOrHangsQudo() throws {
    var tally = Tally()
    var seeds = 0
    for seed in Evidence.seeds(atLeast: 1) {
      seeds += 1
      try work(seed, &tally)
    }
    let answers = tally.answers.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
      "\($0.value) \($0.key)"
    }
    Evidence.report(
      "hostile files",
      "seeds \(Evidence.firstSeed) to \(Evidence.firstSeed &+ UInt64(seeds - 1)), \(tally.cases) files, "
        + "\(tally.skipped) could not be made, \(answers.joined(separator: ", ")), \(tally.findings.count) findings"
    )
    #expect(tally.cases > 1000)
    #expect(tally.skipped < tally.cases / 20)
    // Some of each: neither is all refused, nor does nothing come to light.
    #expect(tally.answers["worked", default: 0] > 100)
    #expect(tally.answers["refused foreignSchema", default: 0] > 100)
    #expect(tally.answers["refused corrupt", default: 0] > 50)
    for finding in tally.findings.prefix(20) { Issue.record("\(finding)") }
  }

  /// One after the other, and on after one at which the process ended.
  private func work(_ seed: UInt64, _ tally: inout Tally) throws {
    let folder = try HostileFolder()
    var first = 0
    while true {
      let answer = try folder.run(
        "HostileFileProcess", ["corpus", folder.path, "\(seed)", "\(first)"], within: 600)
      var last: (number: Int, name: String)?
      for line in answer.lines {
        let words = line.split(separator: " ", maxSplits: 2).map(String.init)
        guard words.count >= 2, let number = Int(words[1]) else { continue }
        let rest = words.count > 2 ? words[2] : ""
        switch words[0] {
        case "case":
          last = (number, rest)
          tally.cases += 1
        case "bad":
          tally.findings.append(Finding(seed: seed, number: number, name: last?.name ?? "", what: rest))
        case "skipped": tally.skipped += 1
        case "done": tally.answers[rest.hasPrefix("worked") ? "worked" : rest, default: 0] += 1
        default: break
        }
      }
      if answer.status == 0, answer.lines.last?.hasPrefix("end") == true { return }
      let culprit = try #require(
        last, "the process ended before its first case: \(answer.errors.suffix(500))")
      let end =
        answer.status.map { $0 == SIGALRM ? "it went on for ever" : "the process ended with \($0)" }
        ?? "it went on for ever"
      tally.findings.append(
        Finding(
          seed: seed, number: culprit.number, name: culprit.name, what: "\(end): \(answer.errors.suffix(300))"
        ))
      first = culprit.number + 1
    }
  }
}
