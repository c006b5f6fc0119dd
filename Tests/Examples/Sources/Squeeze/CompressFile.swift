import Foundation
import Qudo

/// Makes `FILE.gz` of a file. To be done a second time, after a crash for instance, does no harm: the file appears under its name
/// when it is whole.
struct CompressFile: Job {
  static let kind: Kind = "file.compress"
  static let policy: JobPolicy = {
    var policy = JobPolicy()
    policy.maxRetries = 2
    policy.retryDelay = .exponential(base: .seconds(1), cap: .seconds(60), jitter: 0.5)
    return policy
  }()
  var path: String

  func perform(_ context: JobContext) async throws {
    guard FileManager.default.fileExists(atPath: path) else { try context.abort("there is no file \(path)") }
    let partial = URL(fileURLWithPath: "\(path).\(context.job.id).part")
    _ = FileManager.default.createFile(atPath: partial.path, contents: nil)
    let gzip = Process()
    gzip.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    gzip.arguments = ["gzip", "--stdout", path]
    gzip.standardOutput = try FileHandle(forWritingTo: partial)
    try await gzip.runAndWait()
    guard rename(partial.path, path + ".gz") == 0 else {
      throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
  }
}

struct ExitStatus: Error, CustomStringConvertible {
  let program: String
  let status: Int32
  var description: String { "\(program) ended with status \(status)" }
}

extension Process {
  func runAndWait() async throws {
    let status = try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Int32, any Error>) in
      terminationHandler = { ended.resume(returning: $0.terminationStatus) }
      do { try run() } catch { ended.resume(throwing: error) }
    }
    guard status == 0 else { throw ExitStatus(program: arguments?.first ?? "a program", status: status) }
  }
}
