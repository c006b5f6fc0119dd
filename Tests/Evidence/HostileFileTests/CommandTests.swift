import Evidence
import Foundation
import Testing

/// The command on such files: it ends with a status and a line that says what is wrong.
@Suite(.enabled(if: Evidence.isAsked)) struct HostileFileCommandTests {
  private let verbs = [
    ["count"], ["jobs"], ["failures", "--json"], ["enqueue", "a", "x"], ["statuses"], ["compact"],
    ["doctor", "--integrity"],
  ]

  @Test(.timeLimit(.minutes(10))) func theCommandEndsWithAStatusAndOneLine() throws {
    let folder = try HostileFolder()
    let seed = Evidence.firstSeed
    var statuses: [Int32: Int] = [:]
    var number = 0
    // Of each kind of damage some.
    for index in stride(from: 0, to: 1550, by: 31) {
      let path = folder.file("\(index).db")
      let make = try folder.run("HostileFileProcess", ["make", folder.path, "\(seed)", "\(index)", path])
      if make.status != 0 { continue }
      let verb = verbs[number % verbs.count]
      number += 1
      let answer = try folder.run("qudo", verb + ["--database", path], within: 60)
      let status = try #require(
        answer.status, "seed \(seed), case \(index): qudo \(verb[0]) goes on for ever")
      statuses[status, default: 0] += 1
      #expect(
        [0, 1, 75].contains(status),
        "seed \(seed), case \(index): qudo \(verb[0]) ended with \(status): \(answer.errors.suffix(300))")
      // What the doctor finds is no error of the command.
      guard status != 0, verb[0] != "doctor" else { continue }
      let lines = answer.errors.split(separator: "\n").filter { !$0.contains("warning") }
      #expect(
        lines.count == 1, "seed \(seed), case \(index): qudo \(verb[0]) says \(answer.errors.suffix(500))")
      #expect(
        lines.first?.contains("\(index).db") != false,
        "seed \(seed), case \(index): qudo \(verb[0]) says \(answer.errors.suffix(500))")
    }
    let counts = statuses.sorted { $0.key < $1.key }.map { "\($0.value) with status \($0.key)" }
    Evidence.report("hostile files", "seed \(seed), \(number) commands, \(counts.joined(separator: ", "))")
    #expect(number > 30 && statuses.count > 1)
  }
}
