internal import Foundation
internal import Qudo
internal import Subprocess
internal import SystemPackage

/// One run of a command for a job.
///
/// Standard input and outputs are files without a name: a command that does not read, or writes much, never blocks,
/// and what it wrote is passed on whole when it ends.
enum CommandRun {
  /// Outputs of two jobs do not mix.
  private static let output = Locked(())
  private static let messageBytes: Int64 = 2048

  static func perform(_ template: CommandTemplate, _ context: JobContext) async throws {
    let job = context.job
    let words = try template.filled(with: job.payload.bytes)
    let input = try namelessFile()
    let out = try namelessFile()
    let errors = try namelessFile()
    defer { for file in [input, out, errors] { try? file.close() } }  // Nothing is left to be lost in them.
    _ = try input.writeAll(job.payload.bytes)
    try input.seek(offset: 0, from: .start)

    var options = PlatformOptions()
    options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(5))]
    let result = try await run(
      words[0].contains("/") ? .path(FilePath(words[0])) : .name(words[0]),
      arguments: Arguments(Array(words.dropFirst())),
      environment: .inherit.updating([
        "QUDO_JOB_ID": "\(job.id)", "QUDO_KIND": job.kind.name, "QUDO_ATTEMPT": "\(job.attempt)",
      ]),
      platformOptions: options,
      input: .fileDescriptor(input, closeAfterSpawningProcess: false),
      output: .fileDescriptor(out, closeAfterSpawningProcess: false),
      error: .fileDescriptor(errors, closeAfterSpawningProcess: false))
    try passOn(out)
    try judge(result.terminationStatus, errors)
  }

  private static func judge(_ status: TerminationStatus, _ errors: FileDescriptor) throws {
    guard !status.isSuccess else { return }
    let size = try errors.seek(offset: 0, from: .end)
    try errors.seek(offset: max(0, size - messageBytes), from: .start)
    let text = String(decoding: try readAll(errors), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    let message = text.isEmpty ? "\(status)" : "\(status): \(text)"
    if case .exited(65) = status { throw Abort(message) }
    throw CommandFailure(description: message)
  }

  private static func passOn(_ file: FileDescriptor) throws {
    try file.seek(offset: 0, from: .start)
    let bytes = try readAll(file)
    _ = try output.withLock { _ in try FileDescriptor.standardOutput.writeAll(bytes) }
  }

  private static func readAll(_ file: FileDescriptor) throws -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let part = try [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
        count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
      }
      if part.isEmpty { return all }
      all += part
    }
  }

  private static func namelessFile() throws -> FileDescriptor {
    let path = FilePath(NSTemporaryDirectory()).appending("qudo-run-\(UUID().uuidString)")
    let file = try FileDescriptor.open(path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec], permissions: .ownerReadWrite)
    try FileManager.default.removeItem(atPath: path.string)
    return file
  }
}

struct CommandFailure: Error, CustomStringConvertible {
  let description: String
}
