import Foundation
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// The Swift of "Getting started", line for line, but for the path.
struct MakeThumbnail: Job {
  static let kind: Kind = "thumbnail"
  var image: String
  var width = 200

  func perform(_ context: JobContext) async throws {
    print(image, "becomes", width, "pixels wide")
  }
}

struct FetchPage: Job {
  static let kind: Kind = "page.fetch"
  static let policy: JobPolicy = {
    var policy = JobPolicy()
    policy.maxRetries = 5
    policy.retryDelay = .exponential(base: .seconds(1), cap: .seconds(300), jitter: 0.5)
    policy.timeLimit = .seconds(300)
    policy.maxConcurrency = 2
    return policy
  }()
  var address: String

  func perform(_ context: JobContext) async throws {
    let page = try await fetch(address)
    if page.isGone { try context.abort("there is no such page") }
    if let wait = page.askedToWait { try context.snooze(for: wait) }
    for image in page.images { try context.enqueueOnCompletion(MakeThumbnail(image: image)) }
  }
}

/// What the article leaves to its reader.
private struct Page {
  var isGone = false
  var askedToWait: Duration?
  var images: [String] = []
}

private func fetch(_ address: String) async throws -> Page {
  switch address {
  case "gone": Page(isGone: true)
  case "busy": Page(askedToWait: .seconds(60))
  default: Page(images: ["a.png", "b.png"])
  }
}

private struct ImageStore {
  let log = Log()
  func resize(_ image: String, to width: Int) async throws { log.add("\(image) \(width)") }
  func rotate(_ name: String) async throws { log.add(name) }
  func scaleOnThisThread(_ image: String) { log.add(image) }
}

@Suite struct GettingStartedTests {
  let file: TemporaryFile

  init() throws { file = try TemporaryFile() }

  @Test func jobsAreEnqueuedAndWorked() async throws {
    let driver = try SQLiteDriver(path: file.path)
    let queue = Queue(driver)
    try await queue.enqueue(MakeThumbnail(image: "ada.png"))
    try await queue.enqueue(MakeThumbnail(image: "cover.png"), priority: 10)
    try await queue.enqueue(MakeThumbnail(image: "grace.png"), due: .after(.seconds(3600)))
    try await queue.enqueue(contentsOf: [200, 400, 800].map { MakeThumbnail(image: "alan.png", width: $0) })
    for _ in 0..<2 {
      switch try await queue.enqueue(MakeThumbnail(image: "ada.png"), unique: UniqueKey("ada.png")) {
      case .inserted(let id): print("enqueued as \(id)")
      case .conflict(let id): print("\(id) will do it")
      case .existing, .overwritten: break
      }
    }
    let worker = try Worker(queue, handlers: [MakeThumbnail.self], concurrency: 4)
    #expect(try await worker.workUntilEmpty(skipDelayed: true).completed == 6)
    #expect(try await driver.count() == [JobCount("thumbnail", delayed: 1)])
    await queue.close()
  }

  @Test func closuresPerformJobs() async throws {
    let driver = try file.open()
    let queue = Queue(driver)
    let images = ImageStore()
    let thumbnails = JobHandler(MakeThumbnail.self) { job, context in
      try await images.resize(job.image, to: job.width)
    }
    try await queue.enqueue(NewJob("log.rotate", payload: Payload("access.log")))
    let rotation = JobHandler("log.rotate") { context in
      try await images.rotate(String(decoding: context.payload.bytes, as: UTF8.self))
    }
    try await queue.enqueue(MakeThumbnail(image: "ada.png"))
    let scaling = JobHandler("image.scale", policy: JobPolicy(execution: .blocking)) { context in
      images.scaleOnThisThread(String(decoding: context.payload.bytes, as: UTF8.self))
    }
    try await queue.enqueue(NewJob("image.scale", payload: Payload("large.png")))
    try await Worker(queue, handlers: [thumbnails, rotation, scaling], concurrency: 4).workUntilEmpty()
    #expect(images.log.sorted == ["access.log", "ada.png 200", "large.png"])
  }

  @Test func aRunSaysWhatBecomesOfItsJob() async throws {
    let driver = try file.open()
    let queue = Queue(driver)
    for address in ["gone", "busy", "fine"] { try await queue.enqueue(FetchPage(address: address)) }
    let summary = try await Worker(queue, handlers: [JobHandler(FetchPage.self)], concurrency: 1)
      .workUntilEmpty(skipDelayed: true)
    #expect(summary.failed == 1 && summary.snoozed == 1 && summary.completed == 1)
    #expect(
      try await driver.count() == [JobCount("page.fetch", delayed: 1), JobCount("thumbnail", ready: 2)])

    let query = LogQuery(kinds: ["page.fetch"], limit: 20)
    let failures = try await queue.failures(query).filter(\.isFinal)
    for failure in failures { print(failure.id, failure.message) }
    let results = try await queue.replay(failures.map(\.id))
    let counts = try await queue.count()
    guard case .replayed = results.first else { Issue.record("\(results)"); return }
    #expect(counts.first == JobCount("page.fetch", ready: 1, delayed: 1))
  }

  @Test func cancellingTheTaskStopsTheWorker() async throws {
    let driver = try file.open()
    let queue = Queue(driver)
    let worker = try Worker(queue, handlers: [MakeThumbnail.self], concurrency: 4)
    let work = Task { try await worker.work() }
    work.cancel()
    let summary = try await work.value
    await queue.close()
    #expect(summary == WorkSummary())
  }

  /// A property's default does not help a payload that was stored before there was the property.
  @Test("An optional property may be added to a job, and one with a default may not")
  func addedPropertyMustBeOptional() async throws {
    struct Defaulted: Job {
      static let kind: Kind = "a"
      var text = ""
      func perform(_ context: JobContext) async throws {}
    }
    struct Optional: Job {
      static let kind: Kind = "a"
      var text: String?
      func perform(_ context: JobContext) async throws {}
    }
    let driver = try file.open()
    let old = NewJob("a", payload: Payload(Array("{}".utf8), codec: .json))
    _ = try await driver.insert([old])
    #expect(
      try await Worker(Queue(driver), handlers: [JobHandler(Defaulted.self)]).workUntilEmpty().failed == 1)
    _ = try await driver.insert([old])
    #expect(
      try await Worker(Queue(driver), handlers: [JobHandler(Optional.self)]).workUntilEmpty().completed == 1)
  }

  @Test func codeThatEnqueuesIsTestedWithoutAWait() async throws {
    let clock = ManualClock()
    let queue = Queue(MemoryDriver(clock: clock))
    try await queue.enqueue(MakeThumbnail(image: "ada.png"), due: .after(.seconds(3600)))
    #expect(try await queue.enqueued(MakeThumbnail.self).map(\.job.image) == ["ada.png"])
    #expect(try await queue.drain([JobHandler(MakeThumbnail.self)], clock) == 1)
  }

  @Test func theSwiftIsTheArticles() throws {
    let untested = try ArticleText.untested(
      "Sources/Qudo/Qudo.docc/GettingStarted.md", by: #filePath, but: "SQLiteDriver(path:")
    #expect(untested == ["try await worker.work()"], "what ends only when it is cancelled stands in a task")
  }
}
