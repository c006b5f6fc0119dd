import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting

/// Opens files as a program does after the fault, and says what is wrong with them.
enum FileInspector {
  /// - Parameters:
  ///   - allowed: what may be there.
  ///   - highestID: no job gets an id up to here any more.
  /// - Returns: what is there.
  static func look(
    at files: [String: [UInt8]], allowed: Set<JobTable>, above highestID: Int64 = 0, _ clock: ManualClock
  ) async throws(InvariantViolation) -> JobTable {
    do {
      return try await look(in: Folder(files), allowed: allowed, above: highestID, clock)
    } catch let wrong as InvariantViolation {
      throw wrong
    } catch {
      throw InvariantViolation("the file cannot be used: \(error)")
    }
  }

  static func look(
    in folder: Folder, allowed: Set<JobTable>, above highestID: Int64, _ clock: ManualClock
  ) async throws -> JobTable {
    let reading = clock.now()
    let clock = ManualClock(wall: reading.wall, sinceBoot: reading.sinceBoot, boot: reading.boot)
    let driver = try SQLiteDriver(
      path: folder.path, name: "jobs", durability: .off, clock: clock, logger: Folder.quiet)
    let table = try await JobTable.read(driver)
    guard allowed.contains(where: { $0.allows(table) }) else {
      throw InvariantViolation("there is \(table), but it may be only \(allowed)")
    }
    let id = try await driver.insert([newJob("last")])[0].id
    guard id > highestID else { throw InvariantViolation("the id \(id) was given again") }
    // All leases and pauses end.
    _ = try await driver.resume(nil)
    clock.advance(by: .seconds(2000))
    let claimed = try await driver.claim(ClaimRequest([.init("a")], limit: 1000)).jobs.map(\.payload.text)
      .sorted()
    let expected = (table.ready + table.running + ["last"]).filter { !JobTable.lapses($0) }.sorted()
    guard claimed == expected else {
      throw InvariantViolation("of \(expected) only \(claimed) can be claimed")
    }
    let check = try await driver.reader.read { snapshot throws(QudoError) in
      var check: [String] = []
      for sql in ["PRAGMA integrity_check", strays] {
        try snapshot.connection.each(sql, values: []) { check.append($0.text(0)) }
      }
      return check
    }
    guard check == ["ok", "0", "0"] else { throw InvariantViolation("the integrity check says \(check)") }
    await driver.close()
    return table
  }

  /// Each job is in one place, and nothing else is.
  private static let strays = """
    WITH range(id, last) AS (SELECT first, last FROM qudo_ready UNION ALL SELECT first, last FROM qudo_running),
      every(id, last) AS (SELECT id, last FROM range UNION ALL SELECT id + 1, last FROM every WHERE id < last),
      place(id) AS (SELECT id FROM every UNION ALL SELECT id FROM qudo_delayed)
    SELECT (SELECT count(*) FROM qudo_job) - (SELECT count(*) FROM place)
    UNION ALL SELECT count(*) FROM (SELECT id FROM place EXCEPT SELECT id FROM qudo_job)
    """
}

/// What a promise says otherwise.
struct InvariantViolation: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
