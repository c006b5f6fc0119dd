#if MySQL
@testable import QudoMySQL
import Qudo
import Testing

@Suite struct PollerTests {
  @Test func itSlowsDownAndStartsAnewWhenSomethingHappens() {
    var memory = PollMemory()
    _ = memory.found(1)
    let waits = (0..<30).map { _ in memory.pause() }
    #expect(waits.first == .milliseconds(20))
    #expect(waits == waits.sorted())
    #expect(waits.last == .seconds(1))
    _ = memory.found(1)
    let unchanged = memory.pause()
    #expect(unchanged == .seconds(1), "nothing new")
    _ = memory.found(2)
    let after = [memory.pause(), memory.pause()]
    #expect(after == [.milliseconds(20), .milliseconds(25)])
    _ = (0..<30).map { _ in memory.pause() }
    memory.enqueued(3)
    let own = memory.pause()
    #expect(own == .milliseconds(20))
  }

  @Test func itRingsForJobsOfOthersAndNotForItsOwn() {
    var memory = PollMemory()
    // The first time there may be something since the last claim.
    let others = [7, 7, 8, 8, 3, 8, 9].map { memory.found($0) }
    #expect(others == [true, false, true, false, false, false, true])
    memory.enqueued(12)
    let own = [9, 12, 13].map { memory.found($0) }
    #expect(own == [false, false, true])
    memory.foundNothing()
    let afterwards = memory.found(13)
    #expect(afterwards, "the server was away")
  }

  @Test func whoListensHearsOfAnotherProcesssJob() async throws {
    let database = try await TestDatabase()
    let (here, there) = (try database.driver(), try database.driver())
    let (rings, signal) = AsyncStream<Void>.makeStream()
    let id = here.doorbell.listen { signal.yield() }
    var heard = rings.makeAsyncIterator()
    await heard.next()
    for number in 0..<3 {
      _ = try await there.insert([NewJob("a", payload: Payload("\(number)"))])
      await heard.next()
    }
    here.doorbell.stopListening(id)
    await here.close()
    await there.close()
    try await database.drop()
  }
}
#endif
