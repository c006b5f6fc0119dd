import Evidence
import Foundation
import ProcessSupport
import Testing

/// A child process that runs short of something, in a folder of its own.
struct Scarce {
  /// Beside the test bundle, where the build puts both. The bundle does not depend on it: it would be linked with what is the child's.
  static func built(_ name: String) throws -> URL {
    var place = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    while place.path != "/" {
      let command = place.appendingPathComponent(name)
      var isFolder: ObjCBool = false
      if FileManager.default.fileExists(atPath: command.path, isDirectory: &isFolder), !isFolder.boolValue { return command }
      place.deleteLastPathComponent()
    }
    throw CocoaError(.fileNoSuchFile)
  }

  /// Runs a role to its end and reports what it tried.
  static func run(_ role: String, _ arguments: String..., at place: SourceLocation = #_sourceLocation) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("qudo-scarce-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let output = folder.appendingPathComponent("output")
    try Data().write(to: output)
    let file = try FileHandle(forUpdating: output)
    let child = try ChildProcess(
      built("ScarcityProcess").path, [role, folder.path] + arguments, files: (0, file.fileDescriptor, file.fileDescriptor))
    // A hang must fail, not stall.
    let status = try await offThePool { child.end(within: 600 + Int(Evidence.seconds) * 2) }
    if status == nil { child.kill(SIGKILL) }
    let lines = String(decoding: try Data(contentsOf: output), as: UTF8.self).split(separator: "\n")
    #expect(status == 0, "\(role): \(lines.suffix(8).joined(separator: "\n").prefix(4000))", sourceLocation: place)
    for line in lines where line.hasPrefix("figures: ") { Evidence.report("scarcity, \(role)", String(line.dropFirst(9))) }
  }
}
