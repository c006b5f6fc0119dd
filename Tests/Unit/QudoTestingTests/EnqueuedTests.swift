import Qudo
import QudoTesting
import Testing

/// How a user tests that jobs were enqueued.
@Suite struct EnqueuedTests {
  let clock = ManualClock()
  let driver: MemoryDriver
  let queue: Queue<NoHooks>

  init() {
    driver = MemoryDriver(clock: clock)
    queue = Queue(driver)
  }

  @Test("An order enqueues a receipt, and a request for a review a day later")
  func orderEnqueuesReceiptAndReview() async throws {
    let now = clock.now().wall
    let shop = Shop(queue: queue)
    try await shop.order("lamp", by: "ada")
    try await shop.order("chair", by: "ada")

    let receipts = try await queue.enqueued(SendReceipt.self)
    #expect(receipts.map(\.job.item) == ["lamp", "chair"])
    #expect(
      receipts.allSatisfy { $0.priority == 1 && $0.state == .ready && $0.due == now && $0.attempt == 1 })

    let reviews = try await queue.enqueued(AskForReview.self)
    #expect(reviews.map(\.uniqueKey) == ["ada"])
    #expect(reviews.map(\.due) == [now.advanced(by: .seconds(86_400))])
    #expect(reviews.map(\.state) == [.delayed])
  }

  @Test func finishedJobsAreNotEnqueuedAnyMore() async throws {
    try await queue.enqueue(AskForReview(customer: "ada"))
    try await queue.drain([JobHandler(AskForReview.self)], clock)
    #expect(try await queue.enqueued(AskForReview.self).isEmpty)
  }

  @Test func hooksThatChangeThePayloadAreUndone() async throws {
    let queue = Queue(driver, hooks: { Reversing() })
    try await queue.enqueue(AskForReview(customer: "ada"))
    #expect(try await queue.enqueued(AskForReview.self).map(\.job.customer) == ["ada"])
    await #expect(throws: PayloadDecodingError.self) { try await driver.enqueued(AskForReview.self) }
  }

  struct Reversing: Hook {
    static let points: HookPoints = [.serialize, .deserialize]
    func serialize(_ job: inout NewJob) { job.payload.bytes.reverse() }
    func deserialize(_ job: inout ClaimedJob) { job.payload.bytes.reverse() }
  }

  @Test func moreJobsThanAPageAreFound() async throws {
    try await queue.enqueue(contentsOf: (0..<2001).map { AskForReview(customer: "\($0)") })
    #expect(try await driver.enqueued(AskForReview.self).map(\.job.customer) == (0..<2001).map { "\($0)" })
  }
}
