import CScarcity
import Foundation
import Qudo
import QudoSQLite

/// Workers with much to do, or with little to do it with.
enum WorkerRole {
  static func run(in folder: String) async throws -> String {
    try await [
      kinds(folder + "/kinds.db"), concurrency(folder + "/concurrency.db"),
      woken(folder + "/woken.db", by: .polling),
      woken(folder + "/watched.db", by: .events), descriptors(folder + "/descriptors.db"),
    ].joined(separator: "; ")
  }

  private static func options(_ concurrency: Int) -> WorkerOptions {
    var options = WorkerOptions()
    options.concurrency = concurrency
    options.logger = quiet
    return options
  }

  /// A thousand kinds in one worker.
  private static func kinds(_ path: String) async throws -> String {
    let driver = try SQLiteDriver(path: path, durability: .normal, logger: quiet)
    let names = (0..<1000).map { Kind("kind.\($0)") }
    _ = try await driver.insert((0..<3000).map { NewJob(names[$0 % 1000], payload: Payload("\($0)")) })
    let ran = Locked<[String: Int]>([:])
    let handlers = names.map { name in
      JobHandler(name) { context in
        ran.withLock { $0[String(decoding: context.payload.bytes, as: UTF8.self), default: 0] += 1 }
      }
    }
    let summary = try await Worker(Queue(driver), handlers: handlers, options: options(8)).workUntilEmpty()
    let each = ran.withLock { $0 }
    guard summary.completed == 3000, each.count == 3000, each.values.allSatisfy({ $0 == 1 }) else {
      throw Broken("1,000 kinds: \(summary), \(each.count) ran")
    }
    await driver.close()
    return "1,000 kinds in one worker, 3,000 jobs ran once"
  }

  /// A thousand jobs that run at once: none ends before all have begun.
  private static func concurrency(_ path: String) async throws -> String {
    let driver = try SQLiteDriver(path: path, durability: .normal, logger: quiet)
    _ = try await driver.insert((0..<3000).map { NewJob("a", payload: Payload("\($0)")) })
    let before = peakMemory()
    let (gate, ran) = (Barrier(1000), Locked<[Int64: Int]>([:]))
    let handler = JobHandler("a") { context in
      ran.withLock { $0[context.id.number, default: 0] += 1 }
      await gate.pass()
    }
    let summary = try await Worker(Queue(driver), handlers: [handler], options: options(1000))
      .workUntilEmpty()
    let each = ran.withLock { $0 }
    guard summary.completed == 3000, each.count == 3000, each.values.allSatisfy({ $0 == 1 }) else {
      throw Broken("1,000 at once: \(summary), \(each.count) ran")
    }
    await driver.close()
    let memory = peakMemory() - before
    guard memory < 200 << 20 else { throw Broken("1,000 jobs at once took \(mebibytes(memory))") }
    return "1,000 jobs at once in \(mebibytes(memory))"
  }

  enum Waking { case polling, events }

  /// An idle worker, whose poll comes too late, hears of an enqueue through another driver; also where no watch can be had.
  private static func woken(_ path: String, by waking: Waking) async throws -> String {
    scarcity_forbid_inotify(waking == .polling ? 1 : 0)
    defer { scarcity_forbid_inotify(0) }
    let driver = try SQLiteDriver(path: path, durability: .normal, logger: quiet)
    let other = try SQLiteDriver(path: path, durability: .normal, logger: quiet)
    let (ran, done) = AsyncStream<String>.makeStream()
    let handler = JobHandler("a") { done.yield(String(decoding: $0.payload.bytes, as: UTF8.self)) }
    var options = options(1)
    options.pollInterval = .seconds(3600)
    let worker = try Worker(Queue(driver), handlers: [handler], options: options)
    let work = Task { try await worker.work() }
    var texts = ran.makeAsyncIterator()
    for number in 0..<5 {
      _ = try await other.insert([NewJob("a", payload: Payload("\(number)"))])
      guard await texts.next() == "\(number)" else { throw Broken("a worker was not woken") }
    }
    work.cancel()
    _ = try await work.value
    await driver.close()
    await other.close()
    return waking == .polling ? "woken 5 times without inotify" : "and 5 times with it"
  }

  /// libdispatch makes a descriptor at the first timer of each of its clocks, and ends the process where it can have none.
  private static func makeTimers() async throws {
    try await Task.sleep(for: .microseconds(1), clock: .continuous)
    try await Task.sleep(for: .microseconds(1), clock: .suspending)
    await withCheckedContinuation { done in
      DispatchQueue.global().asyncAfter(deadline: .now() + .microseconds(1)) { done.resume() }
    }
    await withCheckedContinuation { done in
      DispatchQueue.global().asyncAfter(wallDeadline: .now() + .microseconds(1)) { done.resume() }
    }
  }

  /// A worker whose process has no descriptor left in the middle of its work: what needs one waits, the rest goes on.
  private static func descriptors(_ path: String) async throws -> String {
    try await makeTimers()
    Descriptors.limit(to: 200)
    let driver = try SQLiteDriver(path: path, durability: .normal, logger: quiet)
    _ = try await driver.insert((0..<2000).map { NewJob("a", payload: Payload("\($0)")) })
    let ran = Locked<[Int64: Int]>([:])
    let handler = JobHandler("a") { context in
      let count = ran.withLock { ran in
        ran[context.id.number, default: 0] += 1
        return ran.count
      }
      if count == 100 { Descriptors.take(leaving: 0) }
      if count == 1500 { Descriptors.giveBack() }
    }
    let summary = try await Worker(Queue(driver), handlers: [handler], options: options(8)).workUntilEmpty()
    Descriptors.giveBack()
    let each = ran.withLock { $0 }
    guard summary.completed == 2000, each.count == 2000, each.values.allSatisfy({ $0 == 1 }) else {
      throw Broken("without descriptors: \(summary), \(each.count) ran")
    }
    await driver.close()
    return "a worker goes on without descriptors, 2,000 jobs ran once"
  }
}

/// Opens when so many have come.
final class Barrier: Sendable {
  private struct State {
    var missing: Int
    var waiting: [CheckedContinuation<Void, Never>] = []
  }
  private let state: Locked<State>

  init(_ count: Int) { state = Locked(State(missing: count)) }

  func pass() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let freed = state.withLock { state -> [CheckedContinuation<Void, Never>] in
        state.missing -= 1
        guard state.missing <= 0 else {
          state.waiting.append(continuation)
          return []
        }
        defer { state.waiting = [] }
        return state.waiting + [continuation]
      }
      for one in freed { one.resume() }
    }
  }
}
