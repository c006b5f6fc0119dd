internal import Qudo
internal import QudoBench
internal import QudoSQLite

/// The steps of the demo. Each step does something and measures it.
struct DemoRun: Sendable {
  let driver: SQLiteDriver
  /// The number of jobs to enqueue in bulk and run.
  let jobs: Int

  private static let kind: Kind = "demo"
  private static let batch = 1000
  static let concurrency = 64
  /// The number of jobs to enqueue one at a time, and the time limit for it on a slow disk.
  private static let singles = 1000
  private static let starts = 500
  private static let timeout = Duration.seconds(5)

  private var queue: Queue<NoHooks> { Queue(driver) }

  func enqueueInBulk() async throws -> Duration {
    let done = Locked(0)
    return try await Progress.show("enqueueing", of: jobs, done: { done.withLock { $0 } }) {
      try await ContinuousClock().measure {
        for first in stride(from: 0, to: jobs, by: Self.batch) {
          let batch = (first..<min(first + Self.batch, jobs)).map {
            NewJob(Self.kind, payload: Payload("\($0)"))
          }
          try await queue.enqueue(batch)
          done.withLock { $0 += batch.count }
        }
      }
    }
  }

  /// Runs all jobs that were enqueued in bulk.
  ///
  /// - Returns: the time it took, and whether each job ran exactly once.
  func work() async throws -> (time: Duration, once: Bool) {
    let runs = Locked((total: 0, of: [UInt8](repeating: 0, count: jobs)))
    let count = jobs
    let handler = JobHandler(Self.kind) { context in
      guard let number = Int(String(decoding: context.payload.bytes, as: UTF8.self)),
        (0..<count).contains(number)
      else {
        throw CommandError("a job's payload was changed. Please report this as a bug")
      }
      runs.withLock { runs in
        runs.total += 1
        runs.of[number] &+= 1
      }
    }
    let worker = try Worker(queue, handlers: [handler], concurrency: Self.concurrency)
    let time = try await Progress.show("working   ", of: jobs, done: { runs.withLock { $0.total } }) {
      try await ContinuousClock().measure { try await worker.workUntilEmpty() }
    }
    let left = try await driver.count()
    return (time, left.isEmpty && runs.withLock { runs in runs.of.allSatisfy { $0 == 1 } })
  }

  /// Measures the time from an enqueue to its acknowledgement, without other writers.
  func enqueueLatencies() async throws -> [Duration] {
    let clock = ContinuousClock()
    let end = clock.now + Self.timeout
    var times: [Duration] = []
    while times.count < Self.singles, clock.now < end {
      let job = NewJob("demo.single", payload: Payload("\(times.count)"))
      times.append(try await clock.measure { try await queue.enqueue(job) })
    }
    return times
  }

  private static let kills = 20

  /// Measures the time from the SIGKILL of a worker to the run of its job in another process.
  static func rescueLatencies(_ path: String, in folder: String, _ durability: SQLiteDriver.Durability)
    async throws -> [Duration]
  {
    let bench = Bench(Bench.Settings(folder: folder) { try PipedProcess($0) })
    return try await bench.rescueTimes(path, durability, count: kills).map { .microseconds(Int64($0 * 1000)) }
  }

  /// Measures the time from an enqueue to the run of the job in an idle worker.
  func startLatencies() async throws -> [Duration] {
    let clock = ContinuousClock()
    let (starts, continuation) = AsyncStream.makeStream(of: ContinuousClock.Instant.self)
    let worker = try Worker(
      queue, handlers: [JobHandler("demo.start") { _ in continuation.yield(clock.now) }], concurrency: 1)
    let work = Task {
      defer { continuation.finish() }
      try await worker.work()
    }
    let end = clock.now + Self.timeout
    var times: [Duration] = []
    var iterator = starts.makeAsyncIterator()
    while times.count < Self.starts, clock.now < end {
      let begin = clock.now
      try await queue.enqueue(NewJob("demo.start"))
      guard let start = await iterator.next() else { break }
      times.append(start - begin)
    }
    work.cancel()
    _ = try await work.value
    return times
  }
}
