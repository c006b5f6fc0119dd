#if os(Linux)
import Foundation
import Testing

/// Workers in containers that share a folder: each has its own name for the boot, and its own process numbers.
@Suite(.waitsForProcesses) struct ContainerTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  @Test(
    "two containers share a file: a killed one's jobs run again, and no other job runs twice",
    .enabled(if: CommandWorkspace.canContain, "needs the right to make mount and process namespaces"))
  func twoContainers() throws {
    try CommandWorkspace.checkNamespaces()
    let jobs = (1...200).map(String.init)
    try place.qudo("enqueue", "p", "--lines", input: jobs.joined(separator: "\n") + "\n")
    let begun = try place.lifeline("begun")
    // Each job lasts for longer than its lease: a machine that has much to do may be late by two seconds. With so many at a time
    // they take two turns or three.
    let command = "p=sh -c 'exec 3>>begun; echo \"$0 $1\" >&3; sleep 4'"
    let (a, b) = ("11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "22222222-bbbb-4bbb-8bbb-bbbbbbbbbbbb")
    let (few, many) = (25, 100)
    let first = try place.start(
      bootID: a, "work", command + " a {}", "--concurrency", "\(few)", "--lease", "3s", "--until-empty")
    let second = try place.start(
      bootID: b, "work", command + " b {}", "--concurrency", "\(many)", "--lease", "3s", "--until-empty")
    var lines: [String] = []
    func mayRunTwice() -> Set<String> {
      Set(lines.filter { $0.hasPrefix("a ") }.suffix(2 * few).map { String($0.dropFirst(2)) })
    }
    while !lines.contains(where: { $0.hasPrefix("a ") }) || !lines.contains(where: { $0.hasPrefix("b ") })
      || lines.count < few + many / 2
    {
      lines.append(try #require(try begun.line()))
    }
    first.kill(SIGKILL)
    _ = try first.end()
    #expect(try second.end() == 0)
    lines += try begun.rest().split(separator: "\n").map(String.init)

    let runs = Dictionary(grouping: lines, by: { String($0.dropFirst(2)) }).mapValues(\.count)
    #expect(Set(runs.keys) == Set(jobs))
    let twice = Set(runs.filter { $0.value > 1 }.keys)
    #expect(twice.count <= few, "no more than the killed one ran")
    #expect(twice.isSubset(of: mayRunTwice()), "only what the killed one began last")
    #expect(runs.values.allSatisfy { $0 <= 2 })
    #expect(try place.qudo("count").output == "")
    #expect(try place.qudo("failures").output == "")
  }

  @Test(
    "a container with a time namespace of its own and another process leave each other's leases alone",
    .enabled(
      if: CommandWorkspace.canBeAhead, "needs the right to make time namespaces, and a system that has them"))
  func timeNamespace() throws {
    try CommandWorkspace.checkTimeNamespaces()
    try place.qudo("enqueue", "t", "--lines", input: "1\n2\n")
    let begun = try place.lifeline("begun")
    // Each looks again and again at the other's lease, which is renewed many times.
    let command = "t=sh -c 'exec 3>>begun; echo \"$1\" >&3; sleep 8' sh {}"
    let ahead = try place.start(ahead: "work", command, "--lease", "3s", "--until-empty")
    let first = try #require(try begun.line())
    let beside = try place.start("work", command, "--lease", "3s", "--until-empty")
    #expect(try ahead.end() == 0)
    #expect(try beside.end() == 0)
    let runs = [first] + (try begun.rest().split(separator: "\n").map(String.init))
    #expect(runs.sorted() == ["1", "2"])
    #expect(try place.qudo("failures").output == "")
  }
}
#endif
