internal import ArgumentParser
internal import Foundation
internal import Qudo
internal import QudoSQLite

struct Demo: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Enqueue and settle many small jobs in a temporary file, and check that each came exactly once.")

  @Option(help: "How many jobs, 1 to 10,000,000.") var jobs = 100_000
  @Option(help: "full, normal or off.") var durability: SQLiteDriver.Durability = .full

  func validate() throws {
    guard (1...10_000_000).contains(jobs) else { throw ValidationError("--jobs must be from 1 to 10,000,000") }
  }

  func run() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("qudo-demo-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(at: folder) }  // A temporary folder that stays does no harm.
    let path = folder.appendingPathComponent("demo.db").path
    let driver = try SQLiteDriver(path: path, durability: durability)
    let enqueueTime = try await enqueue(driver)
    let (seen, workTime) = try await work(driver)
    let left = try await driver.count()
    await driver.close()
    let once = seen.count == jobs && seen.values.allSatisfy { $0 == 1 } && left.isEmpty
    let size = (try FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber)?.intValue ?? 0
    printLine("""
      enqueued   \(rate(enqueueTime)) jobs/s   \(jobs) jobs, 1,000 a transaction
      worked     \(rate(workTime)) jobs/s   claimed and settled, 1,000 a transaction
      checked    \(once ? "each job came exactly once" : "NOT each job came exactly once")
      settings   durability \(durability.rawValue), file \(size / 1024) KiB
      """)
    if !once { throw ExitCode.failure }
  }

  private func enqueue(_ driver: SQLiteDriver) async throws -> Duration {
    try await ContinuousClock().measure {
      for first in stride(from: 0, to: jobs, by: 1000) {
        let batch = (first..<min(first + 1000, jobs)).map { NewJob("demo", payload: Payload(Array("\($0)".utf8))) }
        _ = try await driver.insert(batch)
      }
    }
  }

  private func work(_ driver: SQLiteDriver) async throws -> (seen: [[UInt8]: Int], time: Duration) {
    let request = ClaimRequest([.init("demo")], limit: 1000)
    var seen: [[UInt8]: Int] = [:]
    let start = ContinuousClock.now
    var claim = try await driver.claim(request)
    while !claim.jobs.isEmpty {
      for job in claim.jobs { seen[job.payload.bytes, default: 0] += 1 }
      let done = claim.jobs.map { Settlement($0.lease, .completed()) }
      guard let next = try await driver.settle(done, claiming: request).claim else { break }
      claim = next
    }
    return (seen, ContinuousClock.now - start)
  }

  private func rate(_ time: Duration) -> String {
    let seconds = Double(time.wholeMicroseconds) / 1_000_000
    return "\(Int(Double(jobs) / max(seconds, 0.000_001)))"
  }
}
