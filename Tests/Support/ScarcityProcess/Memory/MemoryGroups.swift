import CScarcity
import Foundation
import Qudo
import QudoSQLite

/// Memory is scarce while many enqueue at once, and share transactions.
struct MemoryGroups {
  private static let callers = 24

  let file: RawFile
  private(set) var figures = Rounds.Figures()

  init(in folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    file = RawFile(path: folder + "/jobs.db")
  }

  mutating func round(seed: UInt64) async throws {
    file.remove()
    let live = scarcity_live()
    let driver = try Rounds.open(file)
    Scarcity.random(seed: seed, permille: [2, 10, 50][Int(seed % 3)]).begin(file)
    let answers =
      await withTaskGroup { group in
        for caller in 0..<Self.callers {
          group.addTask {
            // Every third has more than is done on the caller's own thread.
            let jobs = (0..<(caller % 3 == 0 ? 70 : 1)).map {
              NewJob("a", payload: Payload("\(caller)-\($0)"))
            }
            do throws(QudoError) {
              let isAnswered = try await driver.insert(jobs).count == jobs.count
              return (caller, jobs.count, isAnswered ? nil : QudoError(.database, "too few answers"))
            } catch {
              return (caller, jobs.count, error)
            }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      } as [(Int, Int, QudoError?)]
    figures.refused += scarcity_relent()
    figures.rounds += 1
    let found = try await driver.jobs(matching: JobQuery(limit: 10_000)).map {
      String(decoding: $0.payload.bytes, as: UTF8.self)
    }
    let counts = Dictionary(found.map { ($0.prefix { $0 != "-" }, 1) }, uniquingKeysWith: +)
    for (caller, count, error) in answers {
      let there = counts["\(caller)"] ?? 0
      switch error?.code {
      case nil where there == count: break
      case .outOfMemory where there == 0: figures.threw += 1
      case .outcomeUnknown where there == 0 || there == count: figures.unknown += 1
      default:
        let answer = error.map { "\($0.code): \($0)" } ?? "its answer"
        throw Broken(
          "a group, seed \(seed): caller \(caller) got \(answer), and \(there) of \(count) jobs are there")
      }
    }
    await driver.close()
    guard scarcity_live() == live else {
      throw Broken("a group, seed \(seed): \(scarcity_live() - live) blocks of memory were not given back")
    }
    let check = try file.check()
    guard check == "ok" else { throw Broken("a group, seed \(seed): the file is damaged: \(check)") }
  }
}
