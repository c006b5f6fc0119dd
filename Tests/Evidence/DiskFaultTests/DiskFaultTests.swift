import Evidence
import FaultyDisk
import Qudo
import QudoSQLite
import Testing

/// Operations on the disk fail in each way that there is, one after the other.
@Suite(.enabled(if: Evidence.isAsked), .timeLimit(.minutes(60))) struct DiskFaultTests {
  /// How many of a scenario's operations fail in each way, unless the harness is given time: then all do.
  private static let few = 7

  @Test(arguments: Scenario.all) func eachOperationFails(_ scenario: Scenario) async throws {
    var figures: [String] = []
    for way in FaultKind.all {
      var count = 0
      for durability in way.durabilities { count += try await tryAll(scenario, way, durability) }
      if count > 0 { figures.append("\(way.name) \(count)") }
    }
    Evidence.report("DiskFaultTests", "\(scenario): \(figures.joined(separator: ", "))")
  }

  /// - Returns: how many faults struck.
  private func tryAll(_ scenario: Scenario, _ way: FaultKind, _ durability: SQLiteDriver.Durability)
    async throws -> Int
  {
    let operations = try await way.trial(scenario, durability, at: .max, seed: 0).run().count
    let step = Evidence.seconds > 0 ? 1 : max(1, (operations + Self.few - 1) / Self.few)
    var count = 0
    var at = 1 + Int(Evidence.firstSeed % UInt64(step))
    while at <= operations {
      let trial = way.trial(scenario, durability, at: at, seed: Evidence.firstSeed &+ UInt64(at))
      do {
        if try await trial.run().struck { count += 1 }
      } catch {
        Issue.record("\(trial): \(error)")
      }
      at += step
    }
    return count
  }

  @Test func whateverIsAskedOfADiskThatFails() async throws {
    var count = 0
    for seed in Evidence.seeds(atLeast: 150) {
      let trial = FaultRun.random(seed)
      do {
        if try await trial.run().struck { count += 1 }
      } catch {
        Issue.record("seed \(seed): \(trial), \(trial.scenario.before) \(trial.scenario.steps): \(error)")
      }
    }
    Evidence.report("DiskFaultTests", "random calls: \(count) faults")
  }
}
