import Foundation
import ProcessSupport
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A temporary folder in which the built command is run.
///
/// Commands that a test lets run write their process id to the file `pids`; what is still there at the end is killed.
final class CommandWorkspace {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "qudo-command-\(UUID().uuidString)")
  private var started: [Running] = []

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false) }

  deinit {
    for running in started { running.kill(SIGKILL) }
    for pid in pids { kill(-pid, SIGKILL) }
    try? FileManager.default.removeItem(at: folder)
  }

  var pids: [pid_t] { ((try? text("pids")) ?? "").split(separator: "\n").compactMap { pid_t($0) } }

  func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }
  func text(_ name: String) throws -> String {
    String(decoding: try Data(contentsOf: folder.appendingPathComponent(name)), as: UTF8.self)
  }

  /// Runs `qudo` to its end.
  @discardableResult
  func qudo(_ arguments: String..., input: String = "", environment: [String: String] = [:]) throws -> Result
  {
    try qudo(arguments, input: Data(input.utf8), environment: environment)
  }

  func qudo(_ arguments: [String], input: Data, environment: [String: String] = [:]) throws -> Result {
    try finish(built("qudo"), arguments, input, environment)
  }

  /// Runs a line of shell in which `$qudo` is the command.
  func shell(_ script: String) throws -> Result {
    try finish(URL(fileURLWithPath: "/bin/sh"), ["-c", script], Data(), ["qudo": built("qudo").path])
  }

  private func finish(_ program: URL, _ arguments: [String], _ input: Data, _ environment: [String: String])
    throws -> Result
  {
    let name = UUID().uuidString
    let files = try ["in", "out", "err"].map { end in
      let url = folder.appendingPathComponent("\(name).\(end)")
      try (end == "in" ? input : Data()).write(to: url)
      return try FileHandle(forUpdating: url)
    }
    let running = try Running(
      program, arguments, in: folder, environment: environment, input: files[0], output: files[1],
      errors: files[2])
    defer {
      for end in ["in", "out", "err"] { try? FileManager.default.removeItem(atPath: path("\(name).\(end)")) }
    }
    let status = try running.end()
    let read = { (end: String) in try Data(contentsOf: self.folder.appendingPathComponent("\(name).\(end)")) }
    return Result(
      status: status, bytes: try read("out"), errors: String(decoding: try read("err"), as: UTF8.self))
  }

  /// Starts `qudo`, with pipes to talk to it.
  func start(_ arguments: String..., environment: [String: String] = [:]) throws -> Running {
    let running = try Running(
      built("qudo"), arguments, in: folder, environment: environment, input: Pipe(), output: Pipe(),
      errors: Pipe())
    started.append(running)
    return running
  }

  #if os(Linux)
  /// Starts `qudo` as a container does: in a mount namespace in which the boot has another name, with process numbers of its own.
  func start(bootID: String, _ arguments: String...) throws -> Running {
    try (bootID + "\n").write(toFile: path("boot-" + bootID), atomically: true, encoding: .utf8)
    let script = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\""
    let running = try Running(
      URL(fileURLWithPath: "/usr/bin/unshare"),
      Self.containing + ["sh", "-c", script, path("boot-" + bootID), built("qudo").path] + arguments,
      in: folder, environment: [:],
      input: Pipe(), output: Pipe(), errors: Pipe())
    started.append(running)
    return running
  }

  /// Starts `qudo` in a time namespace whose clocks are ahead of the machine's by more than a day.
  func start(ahead arguments: String...) throws -> Running {
    let running = try Running(
      URL(fileURLWithPath: "/usr/bin/unshare"), Self.ahead + [built("qudo").path] + arguments, in: folder,
      environment: [:],
      input: Pipe(), output: Pipe(), errors: Pipe())
    started.append(running)
    return running
  }

  /// Whether this user may do that, and the system can.
  private static let mayBeAhead: Bool =
    (try? ChildProcess("/usr/bin/unshare", ahead + ["true"]).end(within: waitLimit)) == 0

  /// Whether tests that need that run. In CI, a missing right is a failure; a system without time namespaces is none.
  static let canBeAhead = mayBeAhead || isCI && !mayContain

  /// As ``checkNamespaces()``.
  static func checkTimeNamespaces() throws {
    try #require(mayBeAhead, "this user may not make time namespaces: run CI as root, with CAP_SYS_ADMIN")
  }

  private static let ahead = [
    "--time", "--monotonic", "100000", "--boottime", "100000", "--fork", "--kill-child",
  ]

  /// Whether this user may make such namespaces.
  private static let mayContain: Bool = {
    let script = "mount --bind /dev/null /proc/sys/kernel/random/boot_id"
    return (try? ChildProcess("/usr/bin/unshare", containing + ["sh", "-c", script]).end(within: waitLimit))
      == 0
  }()

  private static let isCI = ProcessInfo.processInfo.environment["QUDO_CI"] != nil

  /// Whether tests that need such namespaces run. In CI, a missing right to make them is a failure: see ``checkNamespaces()``.
  static let canContain = mayContain || isCI

  /// Fails where the right is missing, which only CI comes to.
  static func checkNamespaces() throws {
    try #require(
      mayContain, "this user may not make mount and process namespaces: run CI as root, with CAP_SYS_ADMIN")
  }

  private static let containing = [
    "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
  ]
  #endif

  /// A named pipe that is open from the beginning, so that nobody waits to open it.
  func fifo(_ name: String) throws -> Reader {
    guard mkfifo(path(name), 0o600) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    return Reader(file: open(path(name), O_RDWR | O_CLOEXEC), closes: true)
  }

  /// A named pipe that ends when all are gone that have it open for writing: commands, and what they started.
  func lifeline(_ name: String) throws -> Reader {
    guard mkfifo(path(name), 0o600) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    return Reader(file: open(path(name), O_RDONLY | O_NONBLOCK | O_CLOEXEC), closes: true)
  }

  struct Result {
    let status: Int32
    let bytes: Data
    let errors: String
    var output: String { String(decoding: bytes, as: UTF8.self) }
    var lines: [String] { output.split(separator: "\n").map(String.init) }

    /// The output as JSON: an array of objects.
    func objects() throws -> [[String: Any]] {
      try #require(try JSONSerialization.jsonObject(with: bytes) as? [[String: Any]])
    }
  }
}

/// How long a test waits before it gives up, in seconds: a hang fails, and a busy machine does not.
let waitLimit = 300

struct GaveUp: Error, CustomStringConvertible {
  let description: String
}

/// A process that runs while the test goes on.
final class Running {
  private let process: ChildProcess
  private let words: [String]
  private let input: Any
  let output: Reader
  let errors: Reader

  init(
    _ program: URL, _ arguments: [String], in folder: URL, environment: [String: String], input: Any,
    output: Any, errors: Any
  ) throws {
    var variables = ProcessInfo.processInfo.environment
    variables["QUDO_DATABASE"] = nil
    func file(_ end: Any, forReading: Bool) -> Int32 {
      guard let pipe = end as? Pipe else { return (end as? FileHandle)?.fileDescriptor ?? -1 }
      return (forReading ? pipe.fileHandleForReading : pipe.fileHandleForWriting).fileDescriptor
    }
    process = try ChildProcess(
      program.path, arguments, in: folder.path, environment: variables.merging(environment) { $1 },
      files: (file(input, forReading: true), file(output, forReading: false), file(errors, forReading: false))
    )
    // The child has these ends now: only when nobody else has them does a pipe end.
    try (input as? Pipe)?.fileHandleForReading.close()
    for end in [output, errors] { try (end as? Pipe)?.fileHandleForWriting.close() }
    words = arguments
    self.input = input
    self.output = Reader(
      file: (output as? Pipe)?.fileHandleForReading.fileDescriptor ?? -1, closes: false, owner: output)
    self.errors = Reader(
      file: (errors as? Pipe)?.fileHandleForReading.fileDescriptor ?? -1, closes: false, owner: errors)
  }

  var id: Int32 { process.id }
  func kill(_ signal: Int32) { process.kill(signal) }
  /// With SIGSTOP. Returns when it stands still.
  func stop() { process.stop() }
  func limitDescriptors(to count: Int) throws { try process.limitDescriptors(to: count) }
  func write(_ text: String) throws {
    try (input as? Pipe)?.fileHandleForWriting.write(contentsOf: Data(text.utf8))
  }
  func closeInput() throws { try (input as? Pipe)?.fileHandleForWriting.close() }

  /// Waits for its end and returns the exit status, or the signal's number.
  func end() throws -> Int32 {
    guard let status = process.end(within: waitLimit) else {
      kill(SIGKILL)
      throw GaveUp(description: "the command did not end: \(words)")
    }
    return status
  }
}

/// Reads from a pipe, and gives up when nothing comes.
final class Reader {
  private let file: Int32
  private let closes: Bool
  private let owner: Any?
  private var pending = ""

  init(file: Int32, closes: Bool, owner: Any? = nil) {
    self.file = file
    self.closes = closes
    self.owner = owner
  }

  deinit { if closes { close(file) } }

  /// The next line without its newline; nil at the end.
  func line() throws -> String? {
    while true {
      if let end = pending.firstIndex(of: "\n") {
        defer { pending = String(pending[pending.index(after: end)...]) }
        return String(pending[..<end])
      }
      guard try fill() else {
        defer { pending = "" }
        return pending.isEmpty ? nil : pending
      }
    }
  }

  /// Reads lines until one contains `text`.
  func wait(for text: String) throws {
    while let line = try line() { if line.contains(text) { return } }
    throw GaveUp(description: "'\(text)' never came")
  }

  func rest() throws -> String {
    while try fill() {}
    defer { pending = "" }
    return pending
  }

  private func fill() throws -> Bool {
    var ready = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
    guard poll(&ready, 1, Int32(waitLimit * 1000)) > 0 else { throw GaveUp(description: "nothing came") }
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = read(file, &buffer, buffer.count)
    guard count > 0 else { return false }
    pending += String(decoding: buffer[..<count], as: UTF8.self)
    return true
  }

  /// Writes into a named pipe.
  func put(_ text: String) { _ = text.withCString { write(file, $0, strlen($0)) } }
}
