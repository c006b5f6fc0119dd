#if QUDO_INTERLEAVINGS
import Evidence
import Foundation
import Logging
import Qudo
import QudoSQLite
import QudoTesting

/// A database file, in memory where the system has a place for that.
final class JobFile: Sendable {
  private let folder: String
  var path: String { folder + "/jobs.db" }

  init() throws {
    let root = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
    folder = root + "/qudo-schedules-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func open(_ clock: any QueueClock, _ durability: SQLiteDriver.Durability = .normal) throws -> SQLiteDriver {
    try SQLiteDriver(path: path, durability: durability, clock: clock, logger: quiet)
  }
}

let quiet = Logger(label: "schedules") { _ in SwiftLogNoOpLogHandler() }

/// Jobs are named by their payloads.
func job(_ name: String, _ kind: Kind = "a", due: Due = .now) -> NewJob {
  NewJob(kind, payload: Payload(name), due: due)
}

extension Payload {
  var name: String { String(decoding: bytes, as: UTF8.self) }
}

/// Gives way some times: not to wait for anything, but so that two things meet at another moment each time.
func giveWay(_ times: Int) async {
  for _ in 0..<times { await Task.yield() }
}

extension Seeded {
  mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
  /// Once in so many times.
  mutating func once(in times: Int) -> Bool { number(1...times) == 1 }
}
#endif
