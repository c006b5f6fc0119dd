import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// What other services should know a job by.
@Suite struct WorldKeyTests {
  @Test("the key is the same in each run, and another one in another file of the same name")
  func keys() async throws {
    var all: [[IdempotencyKey]] = []
    for _ in 0..<2 {
      let file = try TemporaryFile()
      let clock = ManualClock()
      let driver = try file.open(clock: clock)
      _ = try await driver.insert([job(), job()])
      let keys = Locked<[String: [IdempotencyKey]]>([:])
      var policy = JobPolicy()
      policy.maxRetries = 1
      let handler = JobHandler("a", policy: policy) { context in
        let runs = keys.withLock { keys in
          keys["\(context.id)", default: []].append(context.idempotencyKey)
          return keys["\(context.id)"]?.count
        }
        if runs == 1 { throw CancellationError() }
      }
      try await Worker(Queue(driver), handlers: [handler]).workUntilEmpty()
      await driver.close()
      let found = keys.withLock { $0 }
      #expect(found.count == 2 && found.values.allSatisfy { $0.count == 2 && $0[0] == $0[1] }, "\(found)")
      all.append(found.sorted { $0.key < $1.key }.compactMap(\.value.first))
    }
    #expect(Set(all.joined()).count == 4)
    #expect(all[0].allSatisfy { "\($0)".utf8.count == 32 })
  }
}
