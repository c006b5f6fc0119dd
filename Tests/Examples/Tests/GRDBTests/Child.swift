import Foundation
import ProcessSupport

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// An `AppProcess` that runs while the test goes on, and is killed with the value.
final class Child: @unchecked Sendable {  // reason: one test has it, and does one thing with it at a time
  private let process: ChildProcess
  private let input = Pipe()
  private let output = Pipe()
  private var pending = ""

  init(_ role: String, _ database: String) throws {
    process = try ChildProcess(
      try Self.built().path, [role, database],
      files: (input.fileHandleForReading.fileDescriptor, output.fileHandleForWriting.fileDescriptor, 2))
    try input.fileHandleForReading.close()
    try output.fileHandleForWriting.close()
  }

  deinit { if process.isRunning { kill() } }

  /// SIGKILL, and waits for its end.
  func kill() {
    process.kill(SIGKILL)
    _ = process.end(within: 60)
  }

  func tell(_ line: String) { try? input.fileHandleForWriting.write(contentsOf: Data("\(line)\n".utf8)) }

  struct GaveUp: Error, CustomStringConvertible {
    let description: String
  }

  /// Reads lines until one is `text`. A minute is only there so that a hang fails and does not stall.
  func wait(for text: String) throws {
    while true {
      while let end = pending.firstIndex(of: "\n") {
        let line = pending[..<end]
        pending = String(pending[pending.index(after: end)...])
        if line == text { return }
      }
      guard isReadable(within: 60_000) else {
        throw GaveUp(description: "'\(text)' never came, but \(pending)")
      }
      guard fill() else { throw GaveUp(description: "it ended before '\(text)'") }
    }
  }

  /// Whether there is something with `text` that nobody has waited for yet.
  func hasSaid(_ text: String) -> Bool {
    while isReadable(within: 0), fill() {}
    return pending.contains(text)
  }

  private func fill() -> Bool {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = read(output.fileHandleForReading.fileDescriptor, &buffer, buffer.count)
    pending += String(decoding: buffer[..<max(count, 0)], as: UTF8.self)
    return count > 0
  }

  private func isReadable(within milliseconds: Int32) -> Bool {
    var ready = pollfd(fd: output.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
    return poll(&ready, 1, milliseconds) > 0
  }

  /// Beside the test bundle, where the build puts both.
  private static func built() throws -> URL {
    var place = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    while place.path != "/" {
      let program = place.appendingPathComponent("AppProcess")
      var isFolder: ObjCBool = false
      if FileManager.default.fileExists(atPath: program.path, isDirectory: &isFolder), !isFolder.boolValue {
        return program
      }
      place.deleteLastPathComponent()
    }
    throw CocoaError(.fileNoSuchFile)
  }
}
