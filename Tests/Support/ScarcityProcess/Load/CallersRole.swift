import Foundation
import Qudo
import QudoSQLite

/// Ten thousand callers at once.
enum CallersRole {
  private static let count = 10_000

  static func run(in folder: String) async throws -> String {
    let path = folder + "/jobs.db"
    let driver = try SQLiteDriver(path: path, durability: .normal, busyTimeout: .seconds(120), logger: quiet)
    _ = try await driver.insert([NewJob("first")])
    // Somebody else has the turn, so that all of them wait.
    let other = open(path + "-wal", O_RDWR | O_CLOEXEC)
    guard other >= 0, flock(other, LOCK_EX) == 0 else { throw Broken("the turn cannot be taken") }
    let before = peakMemory()
    let begun = Locked(0)
    let results = Task {
      await withTaskGroup { group in
        for number in 0..<count {
          group.addTask {
            begun.withLock { $0 += 1 }
            return (number, try? await driver.insert([NewJob("a", payload: Payload("\(number)"))]))
          }
        }
        return await group.reduce(into: [Int: [InsertResult]]()) { $0[$1.0] = $1.1 }
      }
    }
    // Readers are not kept waiting by those who wait to write.
    var reads = 0
    while begun.withLock({ $0 }) < count {
      guard try await driver.count(["a"]) == [] else { throw Broken("somebody wrote without the turn") }
      reads += 1
    }
    let waiting = peakMemory() - before
    flock(other, LOCK_UN)
    close(other)
    let answers = await results.value
    guard answers.count == count, Set(answers.values.compactMap { $0.first?.id }).count == count else {
      throw Broken("\(count) called, \(answers.count) got an id")
    }
    guard try await driver.count(["a"]) == [JobCount("a", ready: count)] else {
      throw Broken("an acknowledged job is not there")
    }
    let patience = try await tooLate(folder)
    await driver.close()
    guard waiting < 200 << 20 else { throw Broken("\(count) waiting callers took \(mebibytes(waiting))") }
    return
      "\(count) callers wait at once in \(mebibytes(waiting)), \(reads) counts meanwhile, all are answered; \(patience)"
  }

  /// And where the turn does not come, each is told so at its own deadline, and nothing is done.
  private static func tooLate(_ folder: String) async throws -> String {
    let path = folder + "/late.db"
    let driver = try SQLiteDriver(
      path: path, durability: .normal, busyTimeout: .milliseconds(500), logger: quiet)
    let other = open(path + "-wal", O_RDWR | O_CLOEXEC)
    guard other >= 0, flock(other, LOCK_EX) == 0 else { throw Broken("the turn cannot be taken") }
    let refused = await withTaskGroup { group in
      for _ in 0..<count {
        group.addTask {
          do throws(QudoError) { return try await driver.insert([NewJob("a")]).count } catch {
            return error.code == .busy ? -1 : 0
          }
        }
      }
      return await group.reduce(into: 0) { if $1 == -1 { $0 += 1 } }
    }
    flock(other, LOCK_UN)
    close(other)
    guard refused == count, try await driver.insert([NewJob("b")]) == [.inserted(1)] else {
      throw Broken("of \(count) callers \(refused) were told that it is busy")
    }
    await driver.close()
    return "\(refused) that wait in vain are told so"
  }
}
