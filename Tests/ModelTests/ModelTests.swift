import Evidence
import Foundation
import Qudo
import QudoTesting
import Testing

/// Drivers and the model do the same at random, and must answer the same and hold the same.
@Suite struct ModelTests {
  @Test(.enabled(if: Evidence.isAsked)) func sqliteAndTheModelAgree() async throws {
    try await agree(.sqlite, scripts: 100, steps: 500)
  }

  @Test(arguments: Kept.all) func sqliteAgreesOnWhatWasFound(_ kept: Kept) async throws {
    _ = try await ModelCheck.sqlite.run(kept.script(), comparingEvery: 1)
    _ = try await ModelCheck.memory.run(kept.script(), comparingEvery: 1)
  }
}

/// Runs scripts until they are so many, or until the time is over.
func agree(_ trial: ModelCheck, scripts: Int, steps: Int) async throws {
  var (done, verbs) = (0, 0)
  for seed in Evidence.seeds(atLeast: scripts) {
    verbs += try await trial.run(ModelScript(seed: seed, count: steps), of: seed)
    done += 1
  }
  Evidence.report(
    "model",
    "\(trial.name): \(done) scripts of \(steps) steps, \(verbs) verbs, first seed \(Evidence.firstSeed)")
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
