internal import Qudo

// The token decides. Where a lease lies, `boot` and `ends`, says only where to look first: an older value of an
// extended lease has the same token and is still good. Then its row is looked for among all the running, which happens
// for stale leases only.
extension Transaction {
  /// Takes the job out of the running. False if the lease is lost.
  func giveUp(_ lease: Lease) throws(QudoError) -> Bool {
    try connection.run(
      "DELETE FROM qudo_running WHERE boot = ? AND ends = ? AND id = ? AND token = ?", .integer(lease.boot),
      .integer(lease.ends), .integer(lease.job), .integer(lease.token))
    if connection.changes == 1 {
      connection.memory.ran(until: lease.ends)
      return true
    }
    connection.memory.ran(until: nil)
    try connection.run("DELETE FROM qudo_running WHERE id = ? AND token = ?", .integer(lease.job), .integer(lease.token))
    return connection.changes == 1
  }

  func extend(_ leases: [Lease], by duration: Duration) throws(QudoError) -> [Lease?] {
    connection.memory.ran(until: nil)
    var results: [Lease?] = []
    results.reserveCapacity(leases.count)
    for lease in leases {
      let extended = Lease(job: lease.job, token: lease.token, boot: boot, ends: end(of: duration))
      results.append(try move(lease, to: extended) ? extended : nil)
    }
    return results
  }

  private func move(_ lease: Lease, to extended: Lease) throws(QudoError) -> Bool {
    try connection.run(
      "UPDATE qudo_running SET boot = ?, ends = ? WHERE boot = ? AND ends = ? AND id = ? AND token = ?", .integer(extended.boot),
      .integer(extended.ends), .integer(lease.boot), .integer(lease.ends), .integer(lease.job), .integer(lease.token))
    if connection.changes == 1 { return true }
    try connection.run(
      "UPDATE qudo_running SET boot = ?, ends = ? WHERE id = ? AND token = ?", .integer(extended.boot), .integer(extended.ends),
      .integer(lease.job), .integer(lease.token))
    return connection.changes == 1
  }
}
