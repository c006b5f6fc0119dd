import CScarcity
import CSQLite
import Foundation
import Qudo
import QudoSQLite
import QudoTesting

/// SQLite may have so much memory and no more, and a payload has more.
struct MemoryLarge {
  private static let limit = 8 << 20

  let file: RawFile

  init(in folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    file = RawFile(path: folder + "/jobs.db")
  }

  func run() async throws -> String {
    var limits = Limits()
    limits.payloadBytes = 64 << 20
    let driver = try SQLiteDriver(path: file.path, limits: limits, clock: ManualClock(), logger: quiet)
    var refused = 0
    for megabytes in [1, 3, 5, 7, 8, 9, 16, 48] {
      let payload = Payload([UInt8](repeating: UInt8(megabytes), count: megabytes << 20))
      sqlite3_hard_heap_limit64(Int64(Self.limit))
      defer { sqlite3_hard_heap_limit64(0) }
      do throws(QudoError) {
        _ = try await driver.insert([NewJob("large", payload: payload), NewJob("small")])
      } catch {
        guard error.code == .outOfMemory else {
          throw Broken("\(megabytes) MiB of payload, \(Self.limit) of memory: \(error.code): \(error)")
        }
        guard try await driver.count(["large", "small"]).isEmpty else {
          throw Broken("\(megabytes) MiB: it threw and did something")
        }
        _ = try await driver.insert([NewJob("small")])
        sqlite3_hard_heap_limit64(0)
        _ = try await driver.insert([NewJob("large", payload: payload)])
        refused += 1
      }
      sqlite3_hard_heap_limit64(0)
      let claim = try await driver.claim(ClaimRequest([.init("large"), .init("small")], limit: 9)).jobs
      guard claim.map(\.kind).sorted() == ["large", "small"],
        claim.first(where: { $0.kind == "large" })?.payload == payload
      else {
        throw Broken("\(megabytes) MiB: the payload is not what it was")
      }
      _ = try await driver.settle(claim.map { Settlement($0.lease, .completed()) }, claiming: nil)
    }
    await driver.close()
    guard refused > 2 else { throw Broken("the limit of SQLite's memory was no limit") }
    return "8 payloads of 1 to 48 MiB with 8 MiB of memory, \(refused) refused as outOfMemory"
  }
}
