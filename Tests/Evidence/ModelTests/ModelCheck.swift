import Foundation
import Qudo
import QudoSQLite
import QudoTesting

/// A kind of database that scripts are run on, each on a new one.
struct ModelCheck: Sendable {
  let name: String
  /// A fresh database for as long as the body runs.
  let withDatabase: @Sendable (_ body: (ConformanceSubject) async throws -> Int) async throws -> Int

  /// On a disk of memory where there is one. Durability is off: no file outlives its test. Every third connection enqueues in
  /// transactions of an application's.
  static let sqlite = ModelCheck(name: "SQLite") { body in
    let folder = scratch.appendingPathComponent("qudo-model-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("jobs.db").path
    let opened = Locked(0)
    return try await body(
      ConformanceSubject { clock in
        let driver = try SQLiteDriver(path: path, durability: .off, clock: clock)
        let count = opened.withLock {
          $0 += 1; return $0
        }
        return count % 3 == 2 ? try JoinedDriver(driver, path: path) : driver
      })
  }

  private static let scratch: URL = {
    let shared = URL(fileURLWithPath: "/dev/shm", isDirectory: true)
    return FileManager.default.isWritableFile(atPath: shared.path)
      ? shared : FileManager.default.temporaryDirectory
  }()

  /// The model itself, for scripts that must be the same on all.
  static let memory = ModelCheck(name: "memory") { body in
    try await body(ConformanceSubject { MemoryDriver(clock: $0) })
  }

  func run(_ script: ModelScript, comparingEvery interval: Int = 10) async throws -> Int {
    try await withDatabase { try await script.run(on: $0, comparingEvery: interval) }
  }

  /// - Throws: ``Disagreement`` with a short script.
  func run(_ script: ModelScript, of seed: UInt64) async throws -> Int {
    do {
      return try await run(script)
    } catch is ConformanceFailure {
      // Another script has failed: this one was only stopped.
      try Task.checkCancellation()
      throw try await Disagreement(self, seed, script)
    }
  }
}

/// A script on which a driver and the model differ, and how.
struct Disagreement: Error, CustomStringConvertible {
  let description: String

  init(_ trial: ModelCheck, _ seed: UInt64, _ script: ModelScript) async throws {
    let shrunk = await script.shrunk { await Self.failure(trial, $0) != nil }
    let failure = await Self.failure(trial, shrunk)
    description = """
      \(trial.name) and the model differ, seed \(seed): \(failure.map { "\($0)" } ?? "not always")
      To be kept in Tests/Evidence/ModelTests/Scripts when it is mended:
      \(shrunk)
      """
  }

  private static func failure(_ trial: ModelCheck, _ script: ModelScript) async -> (any Error)? {
    do {
      _ = try await trial.run(script, comparingEvery: 1)
      return nil
    } catch {
      return error
    }
  }
}
