import CSQLite
import Foundation
import ProcessSupport
import Testing

/// A folder of its own, in memory where the system has such a place: what is tried here is not the disk.
final class HostileFolder {
  let url: URL
  var path: String { url.path }

  init() throws {
    let memory = URL(fileURLWithPath: "/dev/shm")
    let parent =
      FileManager.default.isWritableFile(atPath: memory.path)
      ? memory : FileManager.default.temporaryDirectory
    url = parent.appendingPathComponent("qudo-hostile-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func file(_ name: String) -> String { url.appendingPathComponent(name).path }

  /// What a program answered.
  struct Answer {
    /// The exit status, or the number of the signal that ended it; nil if it was killed for going on too long.
    let status: Int32?
    let output: String
    let errors: String
    var lines: [String] { output.split(separator: "\n").map(String.init) }
  }

  func run(_ program: String, _ arguments: [String], within seconds: Int = 300) throws -> Answer {
    try run(path: try built(program).path, arguments, within: seconds)
  }

  func run(path program: String, _ arguments: [String], within seconds: Int = 300) throws -> Answer {
    let name = UUID().uuidString
    let files = try ["in", "out", "err"].map { end in
      try Data().write(to: url.appendingPathComponent("\(name).\(end)"))
      return try FileHandle(forUpdating: url.appendingPathComponent("\(name).\(end)"))
    }
    var environment = ProcessInfo.processInfo.environment
    // A crash is to end it at once.
    environment["SWIFT_BACKTRACE"] = "enable=no"
    let process = try ChildProcess(
      program, arguments, environment: environment,
      files: (files[0].fileDescriptor, files[1].fileDescriptor, files[2].fileDescriptor), apart: true)
    let status = process.end(within: seconds)
    if status == nil { process.kill(SIGKILL) }
    let texts = try ["out", "err"].map {
      String(decoding: try Data(contentsOf: url.appendingPathComponent("\(name).\($0)")), as: UTF8.self)
    }
    for end in ["in", "out", "err"] { try? FileManager.default.removeItem(atPath: file("\(name).\(end)")) }
    return Answer(status: status, output: texts[0], errors: texts[1])
  }
}

/// Runs SQL on a connection that is not Qudo's.
func execute(_ sql: String, in path: String) throws {
  var handle: OpaquePointer?
  defer { sqlite3_close(handle) }
  try #require(sqlite3_open(path, &handle) == SQLITE_OK)
  try #require(
    sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK,
    "\(String(cString: sqlite3_errmsg(handle))) in \(sql)")
}
