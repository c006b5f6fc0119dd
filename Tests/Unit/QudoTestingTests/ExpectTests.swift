import Qudo
import QudoTesting
import Testing

/// What is expected to be enqueued, and what is said when it is not.
@Suite struct ExpectTests {
  let clock = ManualClock()
  let driver: MemoryDriver
  let queue: Queue<NoHooks>

  init() {
    driver = MemoryDriver(clock: clock)
    queue = Queue(driver)
  }

  @Test func jobsThatFitAreReturned() async throws {
    try await Shop(queue: queue).order("lamp", by: "ada")
    try await Shop(queue: queue).order("chair", by: "ada")
    #expect(try await queue.expectEnqueued(SendReceipt.self).map(\.job.item) == ["lamp", "chair"])
    #expect(
      try await queue.expectEnqueued(SendReceipt.self, count: 1, priority: 1, due: .now) {
        $0.item == "chair"
      }.map(\.id) == [3])
    try await queue.expectEnqueued(AskForReview.self, count: 1, unique: "ada", due: .after(.seconds(86_400)))
    try await queue.expectEnqueued(
      AskForReview.self, due: .at(clock.now().wall.advanced(by: .seconds(86_400))))
    try await queue.expectNothingEnqueued("other")
    try await queue.expectNothingEnqueued(SendReceipt.self) { $0.item == "table" }
  }

  @Test(arguments: [
    JobExpectation(unique: "bob"), JobExpectation(unique: ""), JobExpectation(priority: 0),
    JobExpectation(due: .now),
    JobExpectation(due: .after(.seconds(59))), JobExpectation(due: .at(Timestamp(microseconds: 0))),
    JobExpectation(meta: ["tenant": "2"]),
    JobExpectation(meta: ["other": "1"]),
  ]) func jobsThatDoNotFitAreNotFound(expected: JobExpectation) async throws {
    let job = NewJob(
      "a", payload: Payload("x"), unique: UniqueKey("ada"), priority: 5, due: .after(.seconds(60)),
      metadata: ["tenant": "1", "b": "2"])
    try await queue.enqueue(job)
    await #expect(throws: UnexpectedJobs.self) { try await queue.expectEnqueued("a", expected) }
    let good = JobExpectation(unique: "ada", priority: 5, due: .after(.seconds(60)), meta: ["tenant": "1"])
    #expect(try await queue.expectEnqueued("a", payload: Payload("x"), count: 1, good).map(\.id) == [1])
    await #expect(throws: UnexpectedJobs.self) {
      try await queue.expectEnqueued("a", payload: Payload("y"), good)
    }
    await #expect(throws: UnexpectedJobs.self) { try await queue.expectEnqueued("b", good) }
  }

  @Test func theMessageListsWhatIsThereInstead() async throws {
    var error = await #expect(throws: UnexpectedJobs.self) {
      try await queue.expectEnqueued(AskForReview.self)
    }
    #expect(error?.description == "no job shop.review fits; no job is enqueued")

    try await queue.enqueue(
      AskForReview(customer: "ada"), unique: UniqueKey("ada"), due: .after(.seconds(60)))
    try await queue.enqueue(NewJob("other", payload: Payload("abc"), priority: 3, metadata: ["tenant": "1"]))
    error = await #expect(throws: UnexpectedJobs.self) {
      try await queue.expectEnqueued(AskForReview.self, unique: "bob", priority: 2, due: .after(.seconds(60)))
    }
    #expect(
      error?.description == """
        no job shop.review with the unique key "bob", the priority 2 and the delay 60.0 seconds fits; there are:
          1 shop.review delayed, unique key "ada", delay 60.0 seconds: AskForReview(customer: "ada")
          2 other ready, priority 3, meta tenant = "1": 3 bytes, codec 0
        """)
    error = await #expect(throws: UnexpectedJobs.self) { try await queue.expectNothingEnqueued("other") }
    #expect(
      error?.description
        == "no job of other was expected; there is:\n  2 other ready, priority 3, meta tenant = \"1\": 3 bytes, codec 0"
    )
    error = await #expect(throws: UnexpectedJobs.self) {
      try await queue.expectEnqueued("other", payload: Payload("abd"))
    }
    #expect(error?.description.hasPrefix("no job other and the payload \"abd\" fits; there are:") == true)
    await #expect(throws: UnexpectedJobs.self) { try await queue.expectNothingEnqueued() }
    await #expect(throws: UnexpectedJobs.self) { try await queue.expectNothingEnqueued(AskForReview.self) }
  }

  @Test func aLongListIsCut() async throws {
    try await queue.enqueue(contentsOf: (1...25).map { AskForReview(customer: "\($0)") })
    let error = await #expect(throws: UnexpectedJobs.self) {
      try await queue.expectEnqueued(AskForReview.self, count: 24)
    }
    #expect(error?.description.split(separator: "\n").count == 22)
    #expect(
      error?.description.hasPrefix(
        "24 jobs shop.review were expected and 25 fit; there are:\n  1 shop.review ready") == true)
    #expect(error?.description.hasSuffix("\n  and 5 more") == true)
  }

  @Test func jobsAreSeenAsTheirRunsWouldSeeThem() async throws {
    let queue = Queue(driver, hooks: { EnqueuedTests.Reversing() })
    try await queue.enqueue(AskForReview(customer: "ada"))
    try await queue.enqueue(NewJob("other", payload: Payload("abc")))
    try await queue.expectEnqueued(AskForReview.self) { $0.customer == "ada" }
    #expect(
      try await queue.expectEnqueued("other", payload: Payload("abc")).map(\.payload) == [Payload("abc")])
  }
}
