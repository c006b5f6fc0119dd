#if MySQL
internal import Qudo

/// A row of the running.
struct RunningRow {
  let id: Int64
  let ends: Int64
  let token: Int64
  let kind: Int64
  let ranking: Int64
  let due: Int64
  let lost: Int64
  let lostLimit: Int64

  static let columns: SQL = "id, ends, token, kind, ranking, due, lost, lost_limit"

  init(_ row: Row) {
    id = row.integer(0)
    ends = row.integer(1)
    token = row.integer(2)
    kind = row.integer(3)
    ranking = row.integer(4)
    due = row.integer(5)
    lost = row.integer(6)
    lostLimit = row.integer(7)
  }

  /// Waits for whoever has them locked: a claim that takes them back, or another who settles them.
  static func lock(_ leases: [Lease]) -> [SQL] {
    Set(leases.map(\.job)).sorted().parts().map { "SELECT \(columns) FROM qudo_running WHERE \(ids: $0) FOR UPDATE" }
  }
}

extension Transaction {
  /// The lease's end by the server's clock: there is no other that all of a fleet's machines share. When it is set
  /// forward, leases end early, and when it is set back, late; a restart of the server ends none.
  func end(of lease: Duration) -> Int64 {
    min(now.microseconds.clampedPlus(lease.wholeMicroseconds), .max - 1)
  }

  func extend(_ leases: [Lease], by duration: Duration) throws(QudoError) -> [Lease?] {
    guard !leases.isEmpty else { return [] }
    var tokens: [Int64: Int64] = [:]
    for rows in try read(RunningRow.lock(leases)) {
      try rows.forEach { row throws(QudoError) in tokens[row.integer(0)] = row.integer(2) }
    }
    let ends = end(of: duration)
    let good = leases.filter { tokens[$0.job] == $0.token }
    for part in Set(good.map(\.job)).sorted().parts() { write("UPDATE qudo_running SET ends = \(ends) WHERE \(ids: part)") }
    return leases.map { tokens[$0.job] == $0.token ? Lease(job: $0.job, token: $0.token, boot: 0, ends: ends) : nil }
  }
}
#endif
