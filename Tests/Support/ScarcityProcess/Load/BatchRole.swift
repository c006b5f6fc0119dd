import Evidence
import Foundation
import Qudo
import QudoSQLite

/// A million jobs in one call; fewer where there is no time for it.
enum BatchRole {
  static func run(in folder: String) async throws -> String {
    let count = Evidence.seconds > 0 ? 1_000_000 : 200_000
    let driver = try SQLiteDriver(path: folder + "/jobs.db", durability: .normal, logger: quiet)
    let payload = Payload([UInt8](repeating: 7, count: 20))
    let jobs = (0..<count).map { NewJob("a", payload: payload, priority: $0 & 1) }
    let before = peakMemory()
    let results = try await driver.insert(jobs)
    let insert = peakMemory() - before
    guard results.first == .inserted(1), results.last == .inserted(Int64(count)), results.count == count
    else {
      throw Broken("answers are missing")
    }
    guard try await driver.count(nil) == [JobCount("a", ready: count)] else {
      throw Broken("jobs are missing")
    }
    // And out again, in parts as a worker takes them.
    var done = 0
    while true {
      let claimed = try await driver.claim(ClaimRequest([.init("a")], limit: 10_000)).jobs
      guard !claimed.isEmpty else { break }
      done += try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: nil)
        .results.count { $0 == .settled() }
    }
    guard done == count, try await driver.count(nil) == [] else {
      throw Broken("\(done) of \(count) were done")
    }
    await driver.close()
    // Results, and what SQLite keeps of pages; the jobs themselves are the caller's.
    guard insert < (12 << 20) + count * 24 else {
      throw Broken("a batch of \(count) took \(mebibytes(insert)) besides the jobs themselves")
    }
    return "\(count) jobs in one call, \(mebibytes(insert)) besides the jobs themselves"
  }
}
