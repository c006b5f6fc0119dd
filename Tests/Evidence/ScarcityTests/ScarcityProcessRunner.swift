import Evidence
import Foundation
import ProcessSupport
import Testing

/// A child process that runs short of something, in a folder of its own. The test bundle does not depend on its target: it would be
/// linked with what is the child's.
struct ScarcityProcessRunner {
  /// Runs a role to its end and reports what it tried.
  static func run(_ role: String, _ arguments: String..., at place: SourceLocation = #_sourceLocation)
    async throws
  {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-scarce-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let output = folder.appendingPathComponent("output")
    try Data().write(to: output)
    let file = try FileHandle(forUpdating: output)
    let child = try ChildProcess(
      built("ScarcityProcess").path, [role, folder.path] + arguments,
      files: (0, file.fileDescriptor, file.fileDescriptor))
    // A hang must fail, not stall.
    let status = try await offThePool { child.end(within: 600 + Int(Evidence.seconds) * 2) }
    if status == nil { child.kill(SIGKILL) }
    let lines = String(decoding: try Data(contentsOf: output), as: UTF8.self).split(separator: "\n")
    #expect(
      status == 0, "\(role): \(lines.suffix(8).joined(separator: "\n").prefix(4000))", sourceLocation: place)
    for line in lines where line.hasPrefix("figures: ") {
      Evidence.report("scarcity, \(role)", String(line.dropFirst(9)))
    }
  }
}
