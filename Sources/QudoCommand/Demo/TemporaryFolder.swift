#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Qudo

#if canImport(Glibc)
// With the dashboard, the compiler takes `stat` for a part of it.
internal import CDispatch
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A temporary folder for databases, which the command removes when it ends, even by a signal.
struct TemporaryFolder {
  private let url: URL

  private let isInterrupted = Locked(false)

  /// - Parameter folder: the parent folder; nil for the system's folder for temporary files.
  init(in folder: String? = nil, _ name: String) throws {
    let parent = folder.map { URL(fileURLWithPath: $0) } ?? FileManager.default.temporaryDirectory
    url = parent.appendingPathComponent("\(name)-\(UUID().uuidString)")
    let (url, isInterrupted) = (url, isInterrupted)
    // Watch before creating the folder, so that no signal leaves it behind.
    try Signals.watch(Signals.ending) { number in
      isInterrupted.withLock { $0 = true }
      Self.remove(url)
      Signals.die(of: number)
    }
    try isInterrupted.withLock { isInterrupted in
      guard !isInterrupted else { throw CommandError("interrupted by a signal") }
      try FileManager.default.createDirectory(
        at: url, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }
  }

  var path: String { url.path }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }

  func size(_ name: String) throws -> Int {
    // Do not open it: closing a database file outside SQLite releases SQLite's locks on it.
    var status = stat()
    guard stat(path(name), &status) == 0 else { throw CommandError("the temporary database was deleted") }
    return Int(status.st_size)
  }

  /// Calls `body`. If a signal has removed the files, its errors do not matter: the signal ends the process.
  func use<Result>(_ body: () async throws -> Result) async throws -> Result {
    defer { Self.remove(url) }
    do {
      return try await body()
    } catch {
      while isInterrupted.withLock({ $0 }) { try await Task.sleep(for: .seconds(1)) }
      throw error
    }
  }

  private static func remove(_ url: URL) {
    // `body` may still create files during the removal, so retry.
    for _ in 0..<20 {
      if (try? FileManager.default.removeItem(at: url)) != nil
        || !FileManager.default.fileExists(atPath: url.path)
      {
        return
      }
      usleep(5000)
    }
  }
}
