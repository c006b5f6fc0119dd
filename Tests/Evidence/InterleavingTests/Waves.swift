#if QUDO_INTERLEAVINGS
import Evidence
import Qudo
import QudoTesting

/// Callers who enqueue at the same moment, some of them again as soon as they are answered; and then nobody does before all were answered.
/// So nobody comes later who would take along one that was overlooked.
enum Waves {
  /// - Returns: how many calls were made.
  static func run(_ driver: any LogDriver, _ count: Int, _ random: inout Seeded) async throws -> Int {
    var made = 0
    for wave in 0..<count {
      let callers = random.number(2...5)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for caller in 0..<callers {
          let (pause, calls) = (random.number(0...8), random.number(1...3))
          made += calls
          group.addTask {
            await giveWay(pause)
            for call in 0..<calls { _ = try await driver.insert([job("\(wave).\(caller).\(call)")]) }
          }
        }
        try await group.waitForAll()
      }
    }
    let there = try await driver.jobs(matching: JobQuery(limit: 10_000)).count
    guard there == made else { throw Wrong("\(made) jobs were acknowledged, \(there) are there") }
    return made
  }
}
#endif
