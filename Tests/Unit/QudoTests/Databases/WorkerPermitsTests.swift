@testable import Qudo
import Testing

@Suite struct WorkerPermitsTests {
  private func permits(_ total: Int, engines: Int = 2, limits: [Kind: Int] = [:]) -> ConcurrencyBudget {
    var permits = ConcurrencyBudget(total: total, limits: limits)
    for engine in 0..<engines { permits.join(engine) }
    return permits
  }

  @Test func whatIsFreeIsSharedBeforeItIsKnownWhoHasJobs() {
    var permits = permits(4)
    let first = permits.reserve(0, held: [:], now: 0)
    #expect(first.count == 2)
    let second = permits.reserve(1, held: [:], now: 0)
    #expect(second.count == 1, "half of what the other left; the rest when the other has got its own")
  }

  @Test func anIdleDatabaseTakesNothingFromTheOthers() {
    var permits = permits(4)
    _ = permits.reserve(1, held: [:], now: 0)
    permits.noteRequest(1, 2, kinds: [:])
    permits.noteClaim(1, gotAll: false, kinds: [:])
    permits.releaseReservation(1)
    let room = permits.reserve(0, held: [:], now: 0)
    #expect(room.count == 4)
  }

  @Test func aFreedPermitGoesToWhoHasFewestRuns() {
    var permits = permits(2)
    for _ in 0..<2 {
      let begins = permits.begin(0, now: 0)
      #expect(begins)
    }
    permits.enqueueWaiter(1)
    permits.end(0)
    permits.enqueueWaiter(0)
    let offered = permits.grantNext(now: 0)
    #expect(offered == 1)
    let (again, other) = (permits.begin(0, now: 0), permits.begin(1, now: 0))
    #expect(!again && other)
  }

  @Test func twoBacklogsTakeTurnsAtOnePermit() {
    var permits = permits(1)
    var turns: [Int] = []
    permits.enqueueWaiter(0)
    permits.enqueueWaiter(1)
    for _ in 0..<6 {
      guard let engine = permits.grantNext(now: 0) else { break }
      let begins = permits.begin(engine, now: 0)
      #expect(begins)
      turns.append(engine)
      permits.end(engine)
      permits.enqueueWaiter(engine)
    }
    #expect(turns == [0, 1, 0, 1, 0, 1])
  }

  @Test func aReservationThatIsNotUsedInTimeHoldsNobodyUp() {
    var permits = permits(1)
    _ = permits.reserve(1, held: [:], now: 0)
    let before = permits.reserve(0, held: [:], now: 100)
    #expect(before.count == 0 && before.changesAt == ConcurrencyBudget.reservationLifetime)
    let after = permits.reserve(0, held: [:], now: ConcurrencyBudget.reservationLifetime)
    #expect(after.count == 1)
  }

  @Test func aLimitOfAKindHoldsAcrossDatabases() {
    var permits = permits(4, limits: ["a": 2])
    _ = permits.reserve(0, held: [:], now: 0)
    permits.noteRequest(0, 2, kinds: ["a": 2])
    let room = permits.reserve(1, held: [:], now: 0)
    #expect(room.heldElsewhere == ["a": 2])
    permits.noteRequest(1, 0, kinds: [:])
    permits.enqueueKindWaiter(1)
    let none = permits.grantNextKind(now: 0)
    #expect(none == nil)
    permits.noteClaim(0, gotAll: false, kinds: ["a": 1])
    let offered = permits.grantNextKind(now: 0)
    #expect(offered == 1)
    let other = permits.reserve(0, held: ["a": 1], now: 0)
    #expect(other.heldElsewhere == ["a": 1], "the one that waited has it")
  }

  @Test func noMoreRunThanThereArePermits() {
    var permits = permits(3)
    var begun = 0
    for turn in 0..<10 where permits.begin(turn % 2, now: 0) { begun += 1 }
    #expect(begun == 3)
  }

  @Test func whoLeavesKeepsNothingReserved() {
    var permits = permits(1)
    permits.enqueueWaiter(1)
    let offered = permits.grantNext(now: 0)
    #expect(offered == 1)
    permits.leave(1)
    let begins = permits.begin(0, now: 0)
    #expect(begins)
  }
}
