#if MySQL
internal import Qudo
internal import QudoMySQL

/// The fastest known design on a server: a narrow table in claim order next to the table of jobs, one INSERT
/// per batch, statements sent together, and two round trips to settle a batch and claim the next. It has no
/// lease expiry, attempts, receipts or logs.
final class MariaDBFloor {
  let server: RawServer
  var roundTrips: Int { server.roundTrips }
  private var held: [Int64] = []

  init(_ server: DatabaseServer) throws {
    self.server = try RawServer(server)
    // Otherwise each transaction would need a statement to begin it.
    try self.server.run("SET SESSION autocommit = 0")
  }

  func makeTables() throws {
    try server.run(
      """
      CREATE TABLE qudobench_job(id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, payload LONGBLOB NOT NULL) ENGINE = InnoDB;
      CREATE TABLE qudobench_ready(
        kind BIGINT NOT NULL, ranking INT NOT NULL, due BIGINT NOT NULL, id BIGINT NOT NULL, PRIMARY KEY(kind, ranking, due, id)
      ) ENGINE = InnoDB;
      CREATE TABLE qudobench_running(id BIGINT NOT NULL PRIMARY KEY) ENGINE = InnoDB
      """)
  }

  /// Enqueues in one round trip per batch.
  func enqueue(_ count: Int, batch: Int, _ payload: [UInt8]) throws {
    let value = Array("(".utf8) + server.quoted(payload) + Array(")".utf8)
    for first in stride(from: 0, to: count, by: batch) {
      let size = min(batch, count - first)
      var text = Array("INSERT INTO qudobench_job(payload) VALUES".utf8)
      text.reserveCapacity(size * (value.count + 1) + 512)
      for index in 0..<size {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        text += value
      }
      text +=
        size == 1
        ? ";INSERT INTO qudobench_ready VALUES(1, 0, 0, LAST_INSERT_ID());COMMIT".utf8
        : """
        ;INSERT INTO qudobench_ready SELECT 1, 0, 0, id FROM qudobench_job \
        WHERE id BETWEEN LAST_INSERT_ID() AND LAST_INSERT_ID() + \(size - 1);COMMIT
        """.utf8
      try server.run(text)
    }
  }

  /// Settles the jobs claimed by the last call and claims up to `limit` more, in two round trips.
  ///
  /// - Parameter limit: 0 only settles, in one round trip.
  /// - Returns: the ids of the newly claimed jobs.
  @discardableResult
  func settleAndClaim(_ limit: Int) throws -> [Int64] {
    var found: [Int64] = []
    if limit > 0 {
      try server.run(
        """
        SELECT id FROM qudobench_ready WHERE kind = 1 ORDER BY ranking, due, id LIMIT \(limit) FOR UPDATE SKIP LOCKED
        """
      ) { found.append($0.number(0)) }
    }
    var text = ""
    if !held.isEmpty {
      let ids = condition(held)
      text += "DELETE FROM qudobench_running WHERE \(ids);DELETE FROM qudobench_job WHERE \(ids);"
    }
    if !found.isEmpty {
      let ids = condition(found)
      text += """
        DELETE FROM qudobench_ready WHERE kind = 1 AND ranking = 0 AND due = 0 AND \(ids);\
        INSERT INTO qudobench_running VALUES\(found.map { "(\($0))" }.joined(separator: ","));\
        SELECT payload FROM qudobench_job WHERE \(ids);
        """
    }
    try server.run(text + "COMMIT") { _ = $0.bytes(0) }
    held = found
    return found
  }

  /// Returns the condition that selects the ids. Ids without a gap become a range, which costs half as much
  /// as a list. The range excludes the last id: a range reads one row past its end, which other processes may
  /// have locked.
  private func condition(_ ids: [Int64]) -> String {
    guard ids.count > 2, let first = ids.first, let last = ids.last, last - first == Int64(ids.count - 1),
      zip(ids, ids.dropFirst()).allSatisfy(<)
    else { return "id IN (\(ids.map { "\($0)" }.joined(separator: ",")))" }
    return "(id BETWEEN \(first) AND \(last - 1) OR id = \(last))"
  }

  /// Returns the number of unsettled jobs.
  func count() throws -> Int { Int(try server.numbers("SELECT COUNT(*) FROM qudobench_job").first ?? 0) }
}
#endif
