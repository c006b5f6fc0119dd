#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif
internal import Dispatch
internal import Qudo
internal import QudoSQLite

/// The role of this program as a child process of a benchmark.
public enum Child {
  /// - Parameters:
  ///   - arguments: the arguments of ``Bench/Settings/spawn``.
  ///   - say: writes a line to standard output.
  public static func run(_ arguments: [String], say: @escaping @Sendable (String) throws -> Void) async throws
  {
    #if MySQL
    if arguments.first == "server" { return try await drainServer(arguments, say) }
    #endif
    guard arguments.count >= 3, let durability = SQLiteDriver.Durability(rawValue: arguments[2]) else {
      throw BenchFailure("only the benchmark runs this command. Run qudo bench instead")
    }
    let queue = Queue(try SQLiteDriver(path: arguments[1], durability: durability))
    switch arguments[0] {
    case "drain":
      guard arguments.count == 5, let seconds = Double(arguments[3]) else {
        throw BenchFailure("the arguments for the seconds and the log are missing")
      }
      try await drain(queue, seconds, log: arguments[4], say)
    case "wake": try await wake(queue, say)
    case "hold": try await hold(queue, say)
    case "cancelled": try await cancelled(queue, say)
    case "idle": try await idle(queue, say)
    default: throw BenchFailure("unknown role \(arguments[0])")
    }
    await queue.close()
  }

  /// Runs jobs for a while, writes their ids to the log, and prints the rate per second.
  static func drain(
    _ queue: Queue<NoHooks>, _ seconds: Double, log: String, _ say: @Sendable (String) throws -> Void
  ) async throws {
    let ids = Locked<[Int64]>([])
    let worker = try Worker(
      queue, handlers: [JobHandler("bench") { context in ids.withLock { $0.append(context.job.id) } }])
    try say("ready")
    guard readLine() == "go" else { return }
    let clock = ContinuousClock()
    let begin = clock.now
    let work = Task { try await worker.work() }
    try await clock.sleep(for: .seconds(seconds))
    work.cancel()
    let completed = try await work.value.completed
    let rate = Double(completed) / (clock.now - begin).inSeconds
    let done = ids.withLock { $0 }
    guard completed == done.count else { throw BenchFailure("\(done.count) runs, \(completed) completed") }
    try write(done, to: log)
    try say("\(rate)")
  }

  static func write(_ ids: [Int64], to log: String) throws {
    try ids.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: log)) }  // unsafe: the raw bytes of integers, for the same machine
  }

  /// Prints the start time of each job and, on request, the CPU time used.
  private static func wake(_ queue: Queue<NoHooks>, _ say: @escaping @Sendable (String) throws -> Void)
    async throws
  {
    let worker = try Worker(queue, handlers: [JobHandler("bench") { _ in try say("\(monotonic())") }])
    let work = Task { try await worker.work() }
    try say("ready")
    let lines = AsyncStream<String> { continuation in
      DispatchQueue(label: "qudo.bench.input").async {
        while let line = readLine() { continuation.yield(line) }
        continuation.finish()
      }
    }
    for await _ in lines { try say("\(processorTime())") }
    work.cancel()
    _ = try await work.value
  }

  /// Runs an idle worker until its input ends.
  private static func idle(_ queue: Queue<NoHooks>, _ say: @Sendable (String) throws -> Void) async throws {
    let worker = try Worker(queue, handlers: [JobHandler("another") { _ in }])
    let work = Task { try await worker.work() }
    try say("ready")
    await withContinuation { continuation in
      DispatchQueue(label: "qudo.bench.input").async {
        while readLine() != nil {}
        continuation.resume()
      }
    }
    work.cancel()
    _ = try await work.value
  }

  /// Prints a line when a job begins, and the time when it is cancelled.
  private static func cancelled(_ queue: Queue<NoHooks>, _ say: @escaping @Sendable (String) throws -> Void)
    async throws
  {
    var policy = JobPolicy()
    policy.leaseDuration = .seconds(3600)
    let handler = JobHandler("bench", policy: policy) { _ in
      try say("begun")
      do { try await ContinuousClock().sleep(for: .seconds(3600)) } catch {
        try say("\(monotonic())")
        throw error
      }
    }
    let work = Task { try await Worker(queue, handlers: [handler], concurrency: 1).work() }
    try say("ready")
    await withContinuation { continuation in
      DispatchQueue(label: "qudo.bench.input").async {
        while readLine() != nil {}
        continuation.resume()
      }
    }
    work.cancel()
    _ = try await work.value
  }

  /// Prints its process id and the start time of its job, and holds the job until it is killed.
  private static func hold(_ queue: Queue<NoHooks>, _ say: @escaping @Sendable (String) throws -> Void)
    async throws
  {
    var policy = JobPolicy()
    policy.leaseDuration = .seconds(3600)
    policy.maxExpiredLeases = .max
    let demand = JobHandler("bench", policy: policy) { _ in
      try say("\(monotonic())")
      try await ContinuousClock().sleep(for: .seconds(3600))
    }
    let worker = try Worker(queue, handlers: [demand], concurrency: 1)
    try say("\(getpid())")
    try await worker.work()
  }

  /// Returns the time in nanoseconds, by a clock that all processes share.
  static func monotonic() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Returns the CPU time used, in microseconds.
  private static func processorTime() -> Int64 {
    var usage = rusage()
    getrusage(0, &usage)  // RUSAGE_SELF, whose type differs between systems
    return [usage.ru_utime, usage.ru_stime].reduce(0) {
      $0 + Int64($1.tv_sec) * 1_000_000 + Int64($1.tv_usec)
    }
  }
}
