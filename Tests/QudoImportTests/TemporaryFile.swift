import CSQLite
import Foundation
import Qudo
import QudoSQLite
import Testing

/// A database in a folder of its own, which goes with the value.
final class TemporaryFile: Sendable {
  let folder: URL
  let path: String

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("qudo-test-\(UUID().uuidString)")
    path = folder.appendingPathComponent("jobs.db").path
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func open(clock: any QueueClock) throws -> SQLiteDriver {
    try SQLiteDriver(path: path, durability: .normal, clock: clock)
  }

  /// Runs SQL on a connection that is not Qudo's.
  func execute(_ sql: String) throws { _ = try rows(sql) }

  /// The rows of the last statement, as the shell shows them.
  func rows(_ sql: String) throws -> [String] {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    let rows = NSMutableArray()
    let code = sqlite3_exec(
      handle, sql,
      { rows, count, values, _ in
        let row = (0..<Int(count)).map { values?[$0].map { String(cString: $0) } ?? "" }
        rows.map {
          Unmanaged<NSMutableArray>.fromOpaque($0).takeUnretainedValue().add(row.joined(separator: "|"))
        }
        return 0
      }, Unmanaged.passUnretained(rows).toOpaque(), nil)
    try #require(code == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle))) in \(sql)")
    return rows.compactMap { $0 as? String }
  }
}

func demand(
  _ limit: Int = 10, _ kinds: Kind..., leaseDuration: Duration = .seconds(60)
) -> ClaimRequest {
  ClaimRequest(
    (kinds.isEmpty ? ["a"] : kinds).map {
      .init($0, leaseDuration: leaseDuration, maxExpiredLeases: 5)
    }, limit: limit)
}

extension Claim {
  var texts: [String] { jobs.map { String(decoding: $0.payload.bytes, as: UTF8.self) } }
}
