import CSQLite
import Foundation
import ProcessSupport
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// The built command in a folder of its own, with a wall clock that can be set while it runs: libfaketime's, which reads it from a
/// file each time. The clocks that nobody can set go on as they are.
final class FakedCommand {
  struct GaveUp: Error, CustomStringConvertible {
    let description: String
  }

  let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "qudo-faked-\(UUID().uuidString)")
  private let libraries: String
  private var started: [ChildProcess] = []

  /// Where Debian's packages have it.
  private static let library = ["x86_64", "aarch64"].map {
    "/usr/lib/\($0)-linux-gnu/faketime/libfaketimeMT.so.1"
  }
  .first(where: FileManager.default.fileExists)

  /// Where it is missing only CI fails.
  static let isWanted = library != nil || ProcessInfo.processInfo.environment["QUDO_CI"] != nil

  init() throws {
    let library = try #require(Self.library, "there is no libfaketime: apt-get install faketime")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    libraries = try Self.timers(in: folder.path) + " " + library
    try set("+0")
  }

  /// libfaketime takes every timer of timerfd_settime for one of the wall clock, those of the steady clocks too, "only CLOCK_REALTIME
  /// is handled": Swift's sleeps would end too late by as much as the wall clock is set back. So these go to the system again.
  private static func timers(in folder: String) throws -> String {
    let source = """
      #include <sys/syscall.h>
      #include <sys/timerfd.h>
      #include <unistd.h>
      int timerfd_settime(int file, int flags, const struct itimerspec *new, struct itimerspec *old) {
        return (int)syscall(SYS_timerfd_settime, file, flags, new, old);
      }
      int timerfd_gettime(int file, struct itimerspec *now) { return (int)syscall(SYS_timerfd_gettime, file, now); }
      """
    try Data(source.utf8).write(to: URL(fileURLWithPath: folder + "/timers.c"))
    // The compiler that built the tests' C.
    let compiler = try ChildProcess(
      "/usr/bin/env", ["clang", "-shared", "-fPIC", "-o", "timers.so", "timers.c"], in: folder)
    guard compiler.end(within: 60) == 0 else { throw GaveUp(description: "clang does not compile a library") }
    return folder + "/timers.so"
  }

  deinit {
    for child in started {
      child.kill(SIGKILL)
      for name in ["faketime_shm_", "sem.faketime_sem_"] { unlink("/dev/shm/\(name)\(child.id)") }
    }
    try? FileManager.default.removeItem(at: folder)
  }

  func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  /// Sets the wall clock: "+1h" is an hour fast.
  func set(_ time: String) throws {
    try Data((time + "\n").utf8).write(to: folder.appendingPathComponent("clock"), options: .atomic)
  }

  private var environment: [String: String] {
    var variables = ProcessInfo.processInfo.environment
    variables["QUDO_DATABASE"] = "q.db"
    variables["LD_PRELOAD"] = libraries
    variables["FAKETIME_TIMESTAMP_FILE"] = path("clock")
    variables["FAKETIME_NO_CACHE"] = "1"
    variables["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
    variables["NO_FAKE_STAT"] = "1"
    return variables
  }

  /// Not itself: libfaketime puts a variable into the environment of the first process that it is in, which moves the environment, and
  /// Swift's runtime then does not find the arguments, which it looks for before it.
  private func launch(_ arguments: [String], output: Int32) throws -> ChildProcess {
    let child = try ChildProcess(
      "/usr/bin/env", [built("qudo").path] + arguments, in: folder.path, environment: environment,
      files: (0, output, output))
    started.append(child)
    return child
  }

  func start(_ arguments: String...) throws -> ChildProcess {
    let log = open(path("log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    defer { close(log) }
    return try launch(arguments, output: log)
  }

  /// Runs it to its end, and returns what it printed.
  @discardableResult
  func run(_ arguments: String...) throws -> String {
    let name = path(UUID().uuidString)
    let file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(file); unlink(name) }
    let status = try launch(arguments, output: file).end(within: 60)
    let output = String(decoding: FileManager.default.contents(atPath: name) ?? Data(), as: UTF8.self)
    guard status == 0 else {
      throw GaveUp(description: "\(arguments) ended with \(String(describing: status)): \(output)")
    }
    return output
  }

  /// A named pipe that is open from the beginning, so that nobody waits to open it.
  func pipe(_ name: String) throws -> NamedPipe {
    guard mkfifo(path(name), 0o600) == 0 else { throw GaveUp(description: "no pipe") }
    return NamedPipe(file: open(path(name), O_RDWR | O_CLOEXEC))
  }

  /// When the lease of the only running job ends, in the time since the machine started.
  func leaseEnd() throws -> Int64? {
    var (handle, statement): (OpaquePointer?, OpaquePointer?)
    defer { sqlite3_finalize(statement); sqlite3_close(handle) }
    guard sqlite3_open_v2(path("q.db"), &handle, SQLITE_OPEN_READONLY, nil) == SQLITE_OK,
      sqlite3_busy_timeout(handle, 5000) == SQLITE_OK,
      sqlite3_prepare_v2(handle, "SELECT ends FROM qudo_running", -1, &statement, nil) == SQLITE_OK,
      sqlite3_step(statement) == SQLITE_ROW
    else { return nil }
    return sqlite3_column_int64(statement, 0)
  }

  /// Returns when the lease of the only running job was renewed so many times.
  func renewals(_ count: Int) throws {
    var last = try #require(try leaseEnd(), "nothing runs")
    for _ in 0..<count {
      let end = ContinuousClock.now + .seconds(60)
      while true {
        let now = try #require(try leaseEnd(), "the job does not run any more")
        if now > last { last = now; break }
        guard now == last, ContinuousClock.now < end else {
          throw GaveUp(description: "the lease is not renewed: it ends at \(now)")
        }
        // One query after the other would keep a core busy.
        var none = pollfd()
        poll(&none, 0, 20)
      }
    }
  }
}

/// What waits for processes must not hold up one of the few threads that tests share.
func offThePool<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread { continuation.resume(with: .init(catching: body)) }
  }
}

/// Lines that come from somewhere else.
final class NamedPipe {
  private let file: Int32
  private var pending = ""

  init(file: Int32) { self.file = file }
  deinit { close(file) }

  /// The next one; gives up when none comes within that.
  func line(within seconds: Int = 60) throws -> String {
    while true {
      if let end = pending.firstIndex(of: "\n") {
        defer { pending = String(pending[pending.index(after: end)...]) }
        return String(pending[..<end])
      }
      var ready = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
      guard poll(&ready, 1, Int32(seconds * 1000)) > 0 else {
        throw FakedCommand.GaveUp(description: "nothing came")
      }
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = read(file, &buffer, buffer.count)
      guard count > 0 else { throw FakedCommand.GaveUp(description: "it has ended") }
      pending += String(decoding: buffer[..<count], as: UTF8.self)
    }
  }

  /// Whether there is nothing to read.
  var isEmpty: Bool {
    var ready = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
    return pending.isEmpty && poll(&ready, 1, 0) == 0
  }

  func put(_ text: String) { _ = text.withCString { write(file, $0, strlen($0)) } }
}
