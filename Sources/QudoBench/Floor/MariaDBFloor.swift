#if MySQL
internal import Qudo

/// Every shape that was found to win with a server: a thin table in the order of claims beside that of the jobs, one INSERT
/// for a batch, statements sent together, two round trips for settling a batch and claiming the next. It keeps no lease that
/// ends, no attempt, no receipt, no log.
final class MariaDBFloor {
  let server: RawServer
  var roundTrips: Int { server.roundTrips }
  private var held: [Int64] = []

  init(_ server: DatabaseServer) throws {
    self.server = try RawServer(server)
    // Else each transaction would need a statement to begin it.
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

  /// One round trip for each batch.
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

  /// Settles what was claimed by the last call, and claims so many, in two round trips.
  ///
  /// - Parameter limit: 0 to settle only, which takes one.
  /// - Returns: the ids of what is claimed now.
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

  /// Ids without a gap as a range, which costs half of a list. Not with the last one: a range reads one row more than it has, and other
  /// processes have locked that.
  private func condition(_ ids: [Int64]) -> String {
    guard ids.count > 2, let first = ids.first, let last = ids.last, last - first == Int64(ids.count - 1),
      zip(ids, ids.dropFirst()).allSatisfy(<)
    else { return "id IN (\(ids.map { "\($0)" }.joined(separator: ",")))" }
    return "(id BETWEEN \(first) AND \(last - 1) OR id = \(last))"
  }

  /// How many there are that were not settled.
  func count() throws -> Int { Int(try server.numbers("SELECT COUNT(*) FROM qudobench_job").first ?? 0) }
}
#endif
