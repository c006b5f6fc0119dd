import Foundation
import Testing

/// The built command, as a person runs it.
@Suite struct CommandTests {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("qudo-command-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false) }

  private func qudo(_ arguments: String..., input: String = "") throws -> (status: Int32, output: String, errors: String) {
    let process = Process()
    process.executableURL = try Self.builtCommand()
    process.arguments = arguments
    process.currentDirectoryURL = folder
    let files = try ["in", "out", "err"].map { name in
      let url = folder.appendingPathComponent(name)
      try Data((name == "in" ? input : "").utf8).write(to: url)
      return try FileHandle(forUpdating: url)
    }
    process.standardInput = files[0]
    process.standardOutput = files[1]
    process.standardError = files[2]
    try process.run()
    process.waitUntilExit()
    let read = { (name: String) in String(decoding: try Data(contentsOf: folder.appendingPathComponent(name)), as: UTF8.self) }
    return (process.terminationStatus, try read("out"), try read("err"))
  }

  /// Beside the test bundle, where the build puts both.
  private static func builtCommand() throws -> URL {
    var place = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    while place.path != "/" {
      let command = place.appendingPathComponent("qudo")
      var isFolder: ObjCBool = false
      if FileManager.default.fileExists(atPath: command.path, isDirectory: &isFolder), !isFolder.boolValue { return command }
      place.deleteLastPathComponent()
    }
    throw CocoaError(.fileNoSuchFile)
  }

  @Test func linesBecomeJobsAndAreCounted() throws {
    let enqueued = try qudo("enqueue", "sha", "--lines", "--database", "q.db", input: "one\ntwo\n\u{e9}\n")
    #expect(enqueued.status == 0 && enqueued.output == "1\n2\n3\n" && enqueued.errors == "")
    #expect(try qudo("enqueue", "sha", "x", "--delay", "1h", "--json", "--database", "sqlite:q.db").output == "{\"id\":4,\"database\":\"q\"}\n")
    let count = try qudo("count", "--json", "--database", "q.db")
    #expect(count.output == "[{\"database\":\"q\",\"kind\":\"sha\",\"ready\":3,\"delayed\":1,\"running\":0}]\n")
  }

  @Test func aListingNeverCreatesAFile() throws {
    let result = try qudo("count", "--database", "none.db")
    #expect(result.status == 1 && result.output == "" && result.errors.contains("cannot be opened"))
    #expect(!FileManager.default.fileExists(atPath: folder.appendingPathComponent("none.db").path))
  }

  @Test func aFileThatIsNoDatabaseIsRefusedAndLeftAlone() throws {
    let file = folder.appendingPathComponent("text.db")
    let text = Data(String(repeating: "not a database ", count: 100).utf8)
    try text.write(to: file)
    let result = try qudo("enqueue", "a", "--database", "text.db")
    #expect(result.status == 1 && result.errors.contains("not a SQLite database"))
    #expect(try Data(contentsOf: file) == text)
  }

  @Test func tenProcessesMayOpenANewFileAtOnce() throws {
    let processes = try (0..<10).map { number in
      let process = Process()
      process.executableURL = try Self.builtCommand()
      process.arguments = ["enqueue", "a", "\(number)", "--database", "q.db"]
      process.currentDirectoryURL = folder
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      return process
    }
    for process in processes { process.waitUntilExit() }
    #expect(processes.allSatisfy { $0.terminationStatus == 0 })
    #expect(try qudo("count", "--database", "q.db").output == "a\tready 10\tdelayed 0\trunning 0\n")
  }

  @Test func wrongUsageHasStatus64() throws {
    #expect(try qudo("enqueue", "a", "--delay", "soon").status == 64)
    #expect(try qudo("nothing").status == 64)
  }

  @Test func workRunsACommandPerJobWithoutAShell() throws {
    _ = try qudo("enqueue", "p", "--lines", "--database", "q.db", input: "a b; $(id)\n'x'\n\n")
    let worked = try qudo("work", "p=printf '%s|%s\\n' \"<{}>\" end", "--until-empty", "--concurrency", "3", "--database", "q.db")
    #expect(worked.status == 0 && worked.errors == "")
    #expect(worked.output.split(separator: "\n").sorted() == ["<'x'>|end", "<>|end", "<a b; $(id)>|end"])
    #expect(try qudo("count", "--database", "q.db").output == "")
  }

  @Test func thePayloadIsOnStandardInputAndTheJobInTheEnvironment() throws {
    _ = try qudo("enqueue", "p", "hello", "--database", "q.db")
    let command = "p=sh -c 'cat; echo \" $QUDO_JOB_ID $QUDO_KIND $QUDO_ATTEMPT\"'"
    #expect(try qudo("work", command, "--until-empty", "--database", "q.db").output == "hello 1 p 1\n")
  }

  @Test(arguments: [("exit 3", "111"), ("exit 65", "1"), ("exit 0", "1")]) func theExitStatusDecides(command: String, runs: String) throws {
    _ = try qudo("enqueue", "p", "--database", "q.db")
    let worked = try qudo("work", "p=sh -c 'printf 1; \(command)'", "--max-retries", "2", "--until-empty", "--database", "q.db")
    #expect(worked.status == 0 && worked.output == runs)
  }

  @Test(arguments: ["p", "=x", "p=", "p='x", "p=x\\", "p= "]) func aCommandThatCannotBeReadIsWrongUsage(text: String) throws {
    #expect(try qudo("work", text, "--until-empty", "--database", "q.db").status == 64)
  }

  @Test func aWorkerThatIsKilledLosesNoJob() throws {
    _ = try qudo("enqueue", "p", "x", "--database", "q.db")
    // The command kills the worker that runs it, the first time.
    let command = "p=sh -c 'test -e killed && cat || { touch killed; kill -9 $PPID; }'"
    #expect(try qudo("work", command, "--until-empty", "--lease", "200ms", "--database", "q.db").status == SIGKILL)
    #expect(try qudo("work", command, "--until-empty", "--lease", "200ms", "--database", "q.db").output == "x")
  }

  @Test func theDemoChecksItself() throws {
    let result = try qudo("demo", "--jobs", "3000")
    #expect(result.status == 0 && result.output.contains("each job came exactly once"))
  }
}
