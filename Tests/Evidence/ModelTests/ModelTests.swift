import Evidence
import Foundation
import Qudo
import QudoTesting
import Testing

/// Drivers and the model do the same at random, and must answer the same and hold the same.
@Suite struct ModelTests {
  @Test(.enabled(if: Evidence.isAsked || Evidence.modelOperations != nil)) func sqliteAndTheModelAgree()
    async throws
  {
    try await agree(.sqlite, scripts: 100, steps: 500, verbs: Evidence.modelOperations ?? 0)
  }

  @Test(arguments: Kept.all) func sqliteAgreesOnWhatWasFound(_ kept: Kept) async throws {
    _ = try await ModelCheck.sqlite.run(kept.script(), comparingEvery: 1)
    _ = try await ModelCheck.memory.run(kept.script(), comparingEvery: 1)
  }
}

/// Runs scripts, as many at a time as there are cores, until they are so many, and so many verbs, and until the time is over.
func agree(_ trial: ModelCheck, scripts: Int, steps: Int, verbs: Int = 0) async throws {
  let progress = Locked(ModelProgress(scripts: scripts, verbs: verbs))
  try await withThrowingTaskGroup(of: Void.self) { group in
    for _ in 0..<ProcessInfo.processInfo.activeProcessorCount {
      group.addTask {
        while let seed = progress.withLock({ $0.next() }) {
          let count = try await trial.run(ModelScript(seed: seed, count: steps), of: seed)
          progress.withLock { $0.end(count) }
        }
      }
    }
    try await group.waitForAll()
  }
  let (done, count) = progress.withLock { ($0.done, $0.count) }
  Evidence.report(
    "model",
    "\(trial.name): \(done) scripts of \(steps) steps, \(count) verbs, first seed \(Evidence.firstSeed)")
}

/// Which scripts were begun, and what they did.
private struct ModelProgress {
  /// How many there are to be at least.
  let scripts: Int
  let verbs: Int
  private let end = Date(timeIntervalSinceNow: Evidence.seconds)
  private var begun = 0
  private(set) var done = 0
  /// The verbs of those that ended.
  private(set) var count = 0

  init(scripts: Int, verbs: Int) { (self.scripts, self.verbs) = (scripts, verbs) }

  /// - Returns: the seed of the next script; nil if there have been enough.
  mutating func next() -> UInt64? {
    guard begun < scripts || count < verbs || Date() < end else { return nil }
    defer { begun += 1 }
    return Evidence.firstSeed &+ UInt64(begun)
  }

  mutating func end(_ verbs: Int) {
    done += 1
    count += verbs
  }
}

/// A script that a driver once failed on.
struct Kept: Sendable, CustomTestStringConvertible {
  let url: URL
  var testDescription: String { url.lastPathComponent }

  static let all: [Kept] = {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Scripts")
    let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    return (files ?? []).filter { $0.pathExtension == "script" }.sorted { $0.path < $1.path }.map {
      Kept(url: $0)
    }
  }()

  func script() throws -> ModelScript {
    try ModelScript(parsing: try String(contentsOf: url, encoding: .utf8))
  }
}
