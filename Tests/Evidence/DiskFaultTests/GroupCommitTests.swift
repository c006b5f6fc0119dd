import Evidence
import FaultyDisk
import Qudo
@testable import QudoSQLite
import QudoTesting
import Testing

/// Several callers at a time, who share commits. What fails when depends on how they meet; what they are told must hold
/// however that is.
@Suite(.enabled(if: Evidence.isAsked), .timeLimit(.minutes(60))) struct GroupCommitTests {
  private enum Answer: Equatable {
    case done
    case unknown
    case failed
  }

  private static let callers = 6
  private static let calls = 3

  @Test(arguments: FaultKind.all.indices) func whatEachCallerIsToldHolds(_ index: Int) async throws {
    let way = FaultKind.all[index]
    var (count, transactions) = (0, 0)
    for seed in Evidence.seeds(atLeast: 12) {
      var random = Seeded(seed: seed)
      let fault = way.fault(Int.random(in: 1...45, using: &random))
      for durability in way.durabilities {
        do {
          transactions += try await run(durability, fault, way.survival, seed)
          count += 1
        } catch {
          Issue.record("seed \(seed), \(durability): \(fault), \(way.survival) survives: \(error)")
        }
      }
    }
    let calls = count * Self.callers * Self.calls
    Evidence.report(
      "DiskFaultTests",
      "group commit, \(way.name): \(count) runs, \(calls) calls in \(transactions) transactions")
  }

  private static func names(_ caller: Int, _ call: Int) -> [String] {
    (1...3).map { "c\(caller).\(call).\($0)" }
  }

  /// - Returns: how many transactions there were.
  private func run(
    _ durability: SQLiteDriver.Durability, _ fault: Fault, _ survival: Survival, _ seed: UInt64
  ) async throws -> Int {
    let disk = FaultyDisk(isPowersafe: survival != .torn)
    let folder = try Folder(try await Start.empty.files())
    for end in Folder.ends { disk.adopt(folder.path + end) }
    let transactions = Locked(0)
    let gate = CallerHold()
    let clock = ManualClock()
    let driver = try SQLiteDriver(
      path: folder.path, durability: durability, clock: clock, logger: Folder.quiet,
      observer: {
        guard case .transactionBegins = $0 else { return }
        if !gate.hold(Self.callers) { transactions.withLock { $0 += 1 } }
      }, vfs: disk.name)
    disk.arm(fault)
    let answers = try await ask(driver, gate)
    if fault.effect == .powerLoss {
      await driver.close()
      try check(
        answers, try await names(disk.images(survival, seed: seed), clock), isWhole: durability == .full)
    } else {
      try check(answers, try await names(disk.images(.all), clock), isWhole: true)
      disk.disarm()
      _ = try await driver.insert([newJob("probe")])
      if durability == .full {
        try check(answers, try await names(disk.images(.nothing), clock), isWhole: true)
      }
      await driver.close()
      try check(answers, try await names(folder.files(), clock), isWhole: true)
    }
    return transactions.withLock { $0 }
  }

  /// While the writer is held up by a call that changes nothing, all callers hand in what they want.
  private func ask(_ driver: SQLiteDriver, _ gate: CallerHold) async throws -> [[Answer]] {
    var answers: [[Answer]] = Array(repeating: [], count: Self.callers)
    for call in 0..<Self.calls {
      gate.close()
      async let held = try? driver.promote(limit: 1000)
      await gate.holds()
      try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
        for caller in 0..<Self.callers {
          group.addTask {
            gate.pass()
            return (caller, try await Self.ask(driver, caller, call))
          }
        }
        for try await (caller, answer) in group { answers[caller].append(answer) }
      }
      _ = await held
    }
    return answers
  }

  private static func ask(_ driver: SQLiteDriver, _ caller: Int, _ call: Int) async throws -> Answer {
    do throws(QudoError) {
      _ = try await driver.insert(names(caller, call).map(newJob))
      return .done
    } catch {
      if error.code == .outcomeUnknown { return .unknown }
      guard [.ioError, .diskFull, .cannotOpen].contains(error.code) else {
        throw InvariantViolation("a caller was told \(error)")
      }
      return .failed
    }
  }

  private func names(_ files: [String: [UInt8]], _ clock: ManualClock) async throws -> Set<String> {
    let folder = try Folder(files)
    let driver = try SQLiteDriver(path: folder.path, durability: .off, clock: clock, logger: Folder.quiet)
    let names = Set(try await JobTable.read(driver).live)
    await driver.close()
    guard try folder.run("PRAGMA integrity_check") == ["ok"] else {
      throw InvariantViolation("the file is damaged")
    }
    return names
  }

  /// - Parameter isWhole: whether all that was acknowledged must be there; else of each caller's calls the first ones.
  private func check(_ answers: [[Answer]], _ there: Set<String>, isWhole: Bool) throws {
    for (caller, answers) in answers.enumerated() {
      var isOver = false
      for (call, answer) in answers.enumerated() {
        let found = Set(Self.names(caller, call)).intersection(there).count
        let what = "caller \(caller)'s call \(call), which is \(answer)"
        guard found == 0 || found == 3 else { throw InvariantViolation("only a part of \(what), is there") }
        if answer == .failed, found > 0 { throw InvariantViolation("\(what), is there") }
        guard answer == .done else { continue }
        if found == 0, isWhole { throw InvariantViolation("\(what), is not there") }
        if found > 0, isOver { throw InvariantViolation("\(what), is there, and one before it is not") }
        isOver = found == 0
      }
    }
  }
}
