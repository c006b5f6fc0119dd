#if QUDO_INTERLEAVINGS
import Evidence
import Qudo
import QudoSQLite
import QudoTesting
import Testing

extension Interleavings {
  /// Several databases, each of which fails, hangs or is late at random.
  @Suite(.enabled(if: Evidence.isAsked)) struct DatabasesTests {
    @Test func whatIsAcknowledgedRunsAndWhatFailedDoesNot() async throws {
      await interleavings("several databases", "enqueues", seeds: 20) { seed, random in
        let fleet = try MoodyFleet(seed, &random)
        let runs = Runs()
        // A claim that got no answer holds its jobs until the lease ends: they run twice then.
        let handler = JobHandler("a", policy: JobPolicy(leaseDuration: .seconds(60))) { context in
          runs.begins(again: context.payload.name)
          await giveWay(context.attempt)
        }
        let queue = Queue(fleet.databases)
        var options = WorkerOptions()
        options.concurrency = random.number(1...4)
        options.pollInterval = .milliseconds(500)
        options.clock = fleet.clock
        options.logger = quiet
        let worker = try Worker(queue, handlers: [handler], options: options)
        let time = Time(fleet.clock, step: .milliseconds(100), seed: seed)
        let first = Task { try await worker.work() }
        let told = await enqueue(queue, seed: seed)
        await giveWay(random.number(0...100))
        first.cancel()
        // It says so if all databases are late or refuse when it ends.
        do {
          _ = try await first.value
        } catch let error as QudoError where error.code == .unreachable {}

        fleet.calm()
        // Leases of claims that nobody heard of end.
        fleet.clock.advance(by: .seconds(120))
        // Those that were set aside are asked again, and what was late has come.
        // On a slow machine, all of them may be late once more at the same time.
        var isDone = false
        while !isDone {
          do {
            isDone = try await worker.workUntilEmpty().unreachable == []
          } catch let error as QudoError where error.code == .unreachable {}
        }
        await fleet.databases.close()
        try runs.check()
        let left = try await fleet.left()
        let began = runs.began
        for (name, ending) in told {
          switch ending.told {
          case .done where began[name] == nil:
            throw Wrong("\(name) was acknowledged and did not run; left: \(left)")
          case .failed where began[name] != nil || left.contains(name):
            throw Wrong("\(name) was refused, and is there: \(ending)")
          default: break
          }
        }
        await time.stop()
        return told.count
      }
    }

    @Test func closingAnswersAllWhoWait() async throws {
      await interleavings("several databases that are closed", "enqueues", seeds: 20) { seed, random in
        let fleet = try MoodyFleet(seed, &random)
        let (runs, queue) = (Runs(), Queue(fleet.databases))
        let handler = JobHandler("a") { context in runs.begins(again: context.payload.name) }
        var options = WorkerOptions()
        options.concurrency = random.number(1...4)
        options.clock = fleet.clock
        options.logger = quiet
        let worker = try Worker(queue, handlers: [handler], options: options)
        let time = Time(fleet.clock, step: .milliseconds(100), seed: seed)
        let work = Task { try await worker.work() }
        let pause = random.number(0...300)
        let closing = Task {
          await giveWay(pause)
          await fleet.databases.close()
        }
        let told = await enqueue(queue, seed: seed)
        await closing.value
        work.cancel()
        _ = try? await work.value
        fleet.calm()
        let (left, began) = (try await fleet.left(), runs.began)
        for (name, ending) in told {
          switch ending.told {
          case .done where began[name] == nil && !left.contains(name):
            throw Wrong("\(name) was acknowledged, and is not there")
          case .failed where began[name] != nil || left.contains(name):
            throw Wrong("\(name) was refused, and is there: \(ending)")
          default: break
          }
        }
        await time.stop()
        return told.count
      }
    }

    /// Six callers, some of whose tasks are cancelled.
    private func enqueue(_ queue: Queue<NoHooks>, seed: UInt64) async -> [String: Ending] {
      await withTaskGroup(of: [String: Ending].self) { group in
        for caller in 0..<6 {
          group.addTask {
            var random = Seeded(seed: seed &* 1009 &+ UInt64(caller))
            var told: [String: Ending] = [:]
            for index in 0..<6 {
              var new = job("\(caller).\(index)")
              if random.once(in: 2) { new.idempotencyKey = IdempotencyKey() }
              let one = new
              let call = Task { try await queue.enqueue(one) }
              if random.once(in: 4) {
                await giveWay(random.number(0...20))
                call.cancel()
              }
              do {
                _ = try await call.value
                told["\(caller).\(index)"] = Ending(told: .done, error: nil)
              } catch {
                let isUnknown = (error as? QudoError)?.code == .outcomeUnknown
                told["\(caller).\(index)"] = Ending(told: isUnknown ? .unknown : .failed, error: error)
              }
            }
            return told
          }
        }
        var all: [String: Ending] = [:]
        for await told in group { all.merge(told) { first, _ in first } }
        return all
      }
    }
  }
}

/// What became of an enqueue.
private struct Ending: Sendable {
  let told: Ledger.Told
  let error: (any Error)?
}

/// Three files, some of which are opened when they are needed, after some attempts.
private struct MoodyFleet {
  let clock = ManualClock()
  let databases: Databases
  private let files: [JobFile]
  private let made = Locked<[FlakyDriver]>([])
  private let isCalm = Locked(false)

  init(_ seed: UInt64, _ random: inout Seeded) throws {
    let (clock, made, isCalm) = (clock, made, isCalm)
    files = try (0..<3).map { _ in try JobFile() }
    var options = DatabaseOptions()
    options.clock = clock
    options.logger = quiet
    options.probeInterval = .milliseconds(random.number(100...2000))
    options.callTimeout = .milliseconds(random.number(500...3000))
    options.failsOverOnUnknownOutcome = random.once(in: 2)
    options.order = random.once(in: 2) ? .shuffled : .ordered
    let sources = try files.enumerated().map { index, file in
      let refusals = random.once(in: 2) ? random.number(0...3) : 0
      let count = Locked(0)
      let open = { @Sendable () throws(QudoError) -> FlakyDriver in
        let number = count.withLock { count in
          count += 1
          return count
        }
        guard number > refusals else { throw QudoError(.unreachable, "it cannot be opened yet") }
        let base = try SQLiteDriver(
          path: file.path, name: "d\(index)", durability: .normal, clock: clock, logger: quiet)
        let driver = FlakyDriver(base, clock, seed: seed &* 31 &+ UInt64(index))
        made.withLock { $0.append(driver) }
        if isCalm.withLock({ $0 }) { driver.calm() }
        return driver
      }
      if refusals == 0, random.once(in: 2) { return Databases.Source(try open()) }
      return Databases.Source("d\(index)") { () async throws(QudoError) in try open() }
    }
    databases = try Databases(sources, options: options)
  }

  func calm() {
    isCalm.withLock { $0 = true }
    for driver in made.withLock({ $0 }) { driver.calm() }
  }

  /// The jobs that are in the files.
  func left() async throws -> Set<String> {
    var names: Set<String> = []
    for driver in made.withLock({ $0 }) { await driver.close() }
    for file in files {
      let driver = try file.open(clock)
      names.formUnion(try await driver.jobs(matching: JobQuery(limit: 10_000)).map(\.payload.name))
      await driver.close()
    }
    return names
  }
}
#endif
