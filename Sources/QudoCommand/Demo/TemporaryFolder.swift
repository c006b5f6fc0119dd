#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A folder for databases that are thrown away, which goes when the command ends, also by a signal.
struct TemporaryFolder {
  private let url: URL

  private let isInterrupted = Locked(false)

  /// - Parameter folder: where it is made; nil for the system's place for such.
  init(in folder: String? = nil, _ name: String) throws {
    let parent = folder.map { URL(fileURLWithPath: $0) } ?? FileManager.default.temporaryDirectory
    url = parent.appendingPathComponent("\(name)-\(UUID().uuidString)")
    let (url, isInterrupted) = (url, isInterrupted)
    // Before it is made, so that no signal leaves it behind.
    try Signals.watch(Signals.ending) { number in
      isInterrupted.withLock { $0 = true }
      Self.remove(url)
      Signals.die(of: number)
    }
    try isInterrupted.withLock { isInterrupted in
      guard !isInterrupted else { throw CommandError("a signal came") }
      try FileManager.default.createDirectory(
        at: url, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }
  }

  var path: String { url.path }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }

  func size(_ name: String) throws -> Int {
    // Not by opening it: closing a database file outside SQLite loses SQLite's locks on it.
    var status = stat()
    guard stat(path(name), &status) == 0 else { throw CommandError("the file is gone") }
    return Int(status.st_size)
  }

  /// Calls `body`, whose errors do not matter once a signal has taken its files away: the process ends by that.
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
    // While that goes on, files may still be made in it.
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
