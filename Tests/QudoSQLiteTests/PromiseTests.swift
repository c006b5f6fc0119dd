import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// What a driver promises, against a real file and a clock that stands still.
@Suite struct PromiseTests {
  let file: TemporaryFile
  let clock = ManualClock()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  @Test func highestPriorityThenEarliestDueThenOldestAcrossKinds() async throws {
    _ = try await driver.insert([
      job("third"), job("second", kind: "b", due: .at(clock.now().wall.advanced(by: .seconds(-1)))), job("fourth", kind: "b"),
      job("first", priority: 1), job("other", kind: "c", priority: 9),
    ])
    #expect(try await driver.claim(want(10, "a", "b")).texts == ["first", "second", "third", "fourth"])
    #expect(try await driver.count() == [counted("a", running: 2), counted("b", running: 2), counted("c", ready: 1)])
  }

  @Test func aClaimIsExclusiveUntilItsLeaseEnds() async throws {
    _ = try await driver.insert([job("x")])
    let first = try await driver.claim(want())
    let other = try file.open(clock: clock)
    #expect(first.jobs.count == 1)
    #expect(try await other.claim(want()).jobs.isEmpty)
    clock.advance(by: .seconds(60))
    let second = try await other.claim(want())
    #expect(second.texts == ["x"])
    #expect(try await driver.settle([Settlement(first.jobs[0].lease, .completed())], claiming: nil).results == [.leaseLost])
    #expect(try await driver.extend([first.jobs[0].lease], by: .seconds(9)) == [nil])
    #expect(try await driver.count() == [counted("a", running: 1)])
    #expect(try await other.settle([Settlement(second.jobs[0].lease, .completed())], claiming: nil).results == [.settled()])
    #expect(try await driver.count() == [])
  }

  @Test func theTokenDecidesAndNotTheTime() async throws {
    _ = try await driver.insert([job()])
    let lease = try await driver.claim(want()).jobs[0].lease
    clock.advance(by: .seconds(3600))
    #expect(try await driver.settle([Settlement(lease, .completed())], claiming: nil).results == [.settled()])
  }

  @Test func anExtendedLeaseHoldsLonger() async throws {
    _ = try await driver.insert([job()])
    let lease = try await driver.claim(want()).jobs[0].lease
    clock.advance(by: .seconds(50))
    let extended = try #require(try await driver.extend([lease], by: .seconds(60))[0])
    clock.advance(by: .seconds(50))
    #expect(try await driver.claim(want()).jobs.isEmpty)
    #expect(try await driver.settle([Settlement(extended, .completed())], claiming: nil).results == [.settled()])
  }

  @Test func aRebootEndsEveryLeaseAndAWallJumpEndsNone() async throws {
    _ = try await driver.insert([job("x")])
    _ = try await driver.claim(want())
    clock.jump(by: .seconds(7200))
    #expect(try await driver.claim(want()).jobs.isEmpty)
    await driver.close()
    clock.reboot(as: "boot-2")
    #expect(try await file.open(clock: clock).claim(want()).texts == ["x"])
  }

  @Test func idsAreNeverReused() async throws {
    var last: Int64 = 0
    for round in 0..<3 {
      let driver = try file.open(clock: clock)
      for _ in 0..<2 {
        guard case .inserted(let id) = try await driver.insert([job()])[0] else { Issue.record("round \(round)"); return }
        #expect(id > last)
        last = id
        let lease = try await driver.claim(want()).jobs[0].lease
        _ = try await driver.settle([Settlement(lease, .completed())], claiming: nil)
      }
      await driver.close()
    }
  }

  @Test func aUniqueKeyIsHeldUntilTheJobIsFinished() async throws {
    let key = UniqueKey("k")
    #expect(try await driver.insert([job(unique: key), job(unique: key), job(kind: "b", unique: key)]) == [.inserted(1), .conflict(1), .inserted(2)])
    let lease = try await driver.claim(want()).jobs[0].lease
    #expect(try await driver.insert([job(unique: key)]) == [.conflict(1)])
    let next = job("next", unique: key)
    #expect(try await driver.settle([Settlement(lease, .completed(replacements: [next, next]))], claiming: nil).results
      == [.settled(replacements: [.inserted(3), .conflict(3)])])
  }

  @Test func aUniqueKeyCanEndWithTheFirstClaim() async throws {
    let key = UniqueKey("k", scope: .untilStarted)
    #expect(try await driver.insert([job(unique: key)]) == [.inserted(1)])
    #expect(try await driver.claim(want()).jobs[0].uniqueKey == "k")
    #expect(try await driver.insert([job(unique: key)]) == [.inserted(2)])
  }

  @Test func overwritingTouchesAWaitingJobOnly() async throws {
    let key = UniqueKey("k", onConflict: .overwrite)
    _ = try await driver.insert([job("old", unique: key, due: .after(.seconds(60)))])
    #expect(try await driver.insert([job("new", unique: key, priority: 3)]) == [.overwritten(1)])
    let claimed = try await driver.claim(want()).jobs[0]
    #expect(claimed.payload.bytes == Array("new".utf8) && claimed.priority == 3)
    #expect(try await driver.insert([job("newer", unique: key)]) == [.conflict(1)])
  }

  @Test func delayedJobsBecomeReadyWhenDue() async throws {
    _ = try await driver.insert([job("later", due: .after(.seconds(10))), job("soon", due: .after(.seconds(5)))])
    let early = try await driver.claim(want())
    #expect(early.jobs.isEmpty && early.nextDue == .seconds(5))
    clock.advance(by: .seconds(10))
    #expect(try await driver.claim(want()).texts == ["soon", "later"])
  }

  @Test func aRetryCountsAnAttemptAndASnoozeDoesNot() async throws {
    _ = try await driver.insert([job()])
    for (outcome, attempt) in [(Settlement.Outcome.snoozed(.zero), 1), (.retry(after: .zero, message: "no"), 1), (.released, 2), (.failed(message: "no"), 2)] {
      let claimed = try await driver.claim(want()).jobs[0]
      #expect(claimed.attempt == attempt)
      _ = try await driver.settle([Settlement(claimed.lease, outcome)], claiming: nil)
    }
    #expect(try await driver.count() == [])
  }

  @Test func aPoisonJobIsNotRunForEver() async throws {
    _ = try await driver.insert([job()])
    for _ in 0..<5 {
      #expect(try await driver.claim(want()).jobs.count == 1)
      clock.advance(by: .seconds(61))
    }
    #expect(try await driver.claim(want()).jobs.isEmpty)
    #expect(try await driver.count() == [])
  }

  @Test(arguments: [0, 1, 1 << 20])
  func payloadsComeBackAsTheyWere(count: Int) async throws {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    _ = try await driver.insert([NewJob("a", payload: Payload(bytes, codec: .json))])
    #expect(try await driver.claim(want()).jobs[0].payload == Payload(bytes, codec: .json))
  }

  @Test(arguments: [
    NewJob("a", payload: Payload([UInt8](repeating: 0, count: (1 << 20) + 1))), job(kind: ""), job(kind: Kind(String(repeating: "é", count: 128))),
    job(kind: "a\0b"), job(unique: UniqueKey("")), job(unique: UniqueKey("\0")), job(due: .after(.seconds(-1))), job(priority: .max),
    job(due: .at(Timestamp(microseconds: .max))),
  ])
  func whatIsRefusedSpoilsTheWholeCallAndWritesNothing(refused: NewJob) async throws {
    await #expect { try await driver.insert([job(), refused]) } throws: { ($0 as? QudoError)?.code == .invalidArgument }
    #expect(try await driver.count() == [])
  }

  private func counted(_ kind: Kind, ready: Int = 0, running: Int = 0) -> JobCount {
    JobCount(kind, ready: ready, running: running)
  }
}
