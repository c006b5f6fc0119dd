import Foundation
import Testing

/// `qudo work` where no command can be started for a while, out of descriptors.
@Suite(.waitsForProcesses) struct ShortageTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  #if os(Linux)
  @Test(
    "If the process is out of descriptors, a command that cannot start is no failure, and its job runs later")
  func outOfDescriptorsACommandRunsLater() throws {
    let worker = try place.start("work", "p=sh -c 'echo \"{} $QUDO_ATTEMPT\"'")
    try place.qudo("enqueue", "p", "first")
    #expect(try worker.output.line() == "first 1")
    try worker.limitDescriptors(to: 3)
    try place.qudo("enqueue", "p", "second")
    let warning = try #require(try worker.errors.line())
    #expect(
      warning.contains("commands cannot be started, retrying") && warning.contains("Too many open files"),
      "\(warning)")
    try worker.limitDescriptors(to: 256)
    #expect(try worker.output.line() == "second 1")
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
    #expect(try place.qudo("failures", "--json").output == "[]\n")
    #expect(try place.qudo("count").output == "")
  }
  #endif

  @Test("a worker that cannot watch for signals ends before it claims anything", .timeLimit(.minutes(15)))
  func noPipe() throws {
    // With fewer descriptors the file cannot be opened; with more, the worker begins, and waits for some to become free.
    var isFound = false
    for limit in 8...16 where !isFound {
      try place.qudo("enqueue", "p", "1")
      let short = try place.shell("ulimit -n \(limit); exec timeout 20 \"$qudo\" work p=true --until-empty")
      let after = try place.qudo("work", "p=true", "--until-empty", "-v")
      guard short.errors.contains("cannot create a pipe for signals") else { continue }
      isFound = true
      #expect(
        short.status == 1 && !after.errors.contains("recovered"), "\(limit) descriptors: \(after.errors)")
    }
    #expect(isFound)
  }

  /// What tells of a command's end is a descriptor too: without one the worker would wait for it forever.
  @Test("More commands than there are descriptors for end all the same")
  func moreCommandsThanDescriptorsAllEnd() throws {
    try place.qudo("enqueue", "p", "--lines", input: (1...30).map { "\($0)\n" }.joined())
    let worked = try place.shell(
      #"ulimit -n 60; exec "$qudo" work "p=sh -c 'sleep 0.2; echo {} \$QUDO_ATTEMPT'" --until-empty --concurrency 30"#
    )
    #expect(worked.status == 0)
    #expect(Set(worked.lines) == Set((1...30).map { "\($0) 1" }) && worked.lines.count == 30)
    #expect(try place.qudo("failures", "--json").output == "[]\n")
  }
}
