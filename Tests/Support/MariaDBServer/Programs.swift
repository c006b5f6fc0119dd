import Foundation
import ProcessSupport

/// What is wrong with a server, and what to do.
public struct ServerTrouble: Error, CustomStringConvertible {
  public let description: String
}

/// The programs of the MariaDB packages, and how they are run.
enum Programs {
  static func find(_ name: String) throws -> String {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    let folders =
      path.split(separator: ":").map(String.init) + [
        "/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin",
      ]
    guard let folder = folders.first(where: { FileManager.default.isExecutableFile(atPath: "\($0)/\(name)") })
    else {
      throw ServerTrouble(
        description: """
          \(name) is missing. The tests of the MySQL driver start real servers: install MariaDB 10.6 or newer \
          (Debian, Ubuntu: apt-get install mariadb-server openssl; macOS: brew install mariadb openssl), or build without the trait MySQL.
          """)
    }
    return "\(folder)/\(name)"
  }

  /// As root, a server runs only where it is told to.
  static var asRoot: [String] { geteuid() == 0 ? ["--user=root"] : [] }

  /// Runs it to its end.
  ///
  /// - Returns: its standard output.
  static func run(_ name: String, _ arguments: [String], input: String = "") throws -> String {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-run-\(UUID().uuidString)")
    try Watcher.one.get().add(folder)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = try ["in", "out", "err"].map { end in
      let url = folder.appendingPathComponent(end)
      try Data(input.utf8).write(to: url)
      let handle = try FileHandle(forUpdating: url)
      if end != "in" { try handle.truncate(atOffset: 0) }
      return handle
    }
    let process = try ChildProcess(
      find(name), arguments, in: folder.path,
      files: (files[0].fileDescriptor, files[1].fileDescriptor, files[2].fileDescriptor))
    let status = process.end(within: 120)
    let text = { (end: String) in
      String(decoding: try Data(contentsOf: folder.appendingPathComponent(end)), as: UTF8.self)
    }
    guard status == 0 else {
      process.kill(SIGKILL)
      let ending = status.map { "ended with \($0)" } ?? "did not end"
      throw ServerTrouble(description: "\(name) \(ending): \(try text("err")) \(try text("out"))")
    }
    return try text("out")
  }
}

/// Runs what blocks on a thread of its own, so that the tasks' threads stay free.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
  }
}
