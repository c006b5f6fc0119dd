internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A row of `qudo_instance`: an open driver that has claimed jobs.
struct Instance {
  let id: Int64
  /// The boot id that its clock read; its leases are in time since that boot.
  let boot: String
  /// Whether the instance holds a kernel lock while it lives.
  let isLocked: Bool

  /// - Parameter row: The columns id, boot, locked.
  init(_ row: Statement) {
    id = row.integer(0)
    boot = row.text(1)
    isLocked = row.integer(2) != 0
  }

  /// Whether the instance still has the file open.
  ///
  /// Without a kernel lock that is unknown. Then its leases are valid during its boot, or, if a boot id could not be
  /// read, until they expire.
  func isAlive(_ locks: KernelLocks, _ now: ClockReading) -> Bool {
    if isLocked { return locks.isHeld(id) }
    return boot == now.boot || boot.isEmpty || now.boot.isEmpty
  }
}

/// Another instance with running jobs, cached by the connection until another one changes the file.
struct Holder {
  let instance: Instance
  /// The expiry of its first lease.
  let firstEnd: Int64
  /// Whether one of its leases begins in the future: the clock was set back since.
  let isAhead: Bool
}

extension Transaction {
  /// Returns the id of this driver's row in `qudo_instance`. The first claim or renewal inserts the row.
  func instance() throws(QudoError) -> Int64 {
    if let known = connection.instance { return known }
    guard let locks else {
      throw QudoError(.database, "an application's connection cannot claim jobs: claim through the driver")
    }
    try forgetDead(locks)
    // The byte of a new id is locked only if the file was restored to a state before that id was used.
    for _ in 0..<1000 {
      do throws(QudoError) {
        try connection.run(
          "INSERT INTO qudo_instance(boot, locked, pid, opened_at) VALUES(?, 1, ?, ?)", .text(now.boot),
          .integer(Int64(getpid())),
          .integer(now.wall.microseconds))
      } catch  where error.code == .diskFull {
        throw try refusal(error, "qudo_instance")
      }
      let id = connection.lastInsertedRow
      switch locks.hold(id) {
      case .held: break
      case .taken:
        try connection.run("DELETE FROM qudo_instance WHERE id = ?", .integer(id))
        continue
      case .unsupported: try connection.run("UPDATE qudo_instance SET locked = 0 WHERE id = ?", .integer(id))
      }
      connection.hints.instance = id
      return id
    }
    throw QudoError(
      .database, "qudo_instance has no free id for this process: close other processes that use the file")
  }

  /// Deletes the rows of dead instances without running jobs.
  private func forgetDead(_ locks: KernelLocks) throws(QudoError) {
    var idle: [Instance] = []
    try connection.each(
      "SELECT id, boot, locked FROM qudo_instance WHERE NOT EXISTS (SELECT 1 FROM qudo_running WHERE instance = qudo_instance.id)"
    ) { row throws(QudoError) in idle.append(Instance(row)) }
    // An instance without a kernel lock may be alive and claim again: keep its row, which is small.
    for instance in idle where !instance.isAlive(locks, now) {
      try connection.run("DELETE FROM qudo_instance WHERE id = ?", .integer(instance.id))
    }
  }

  /// Returns the other instances with running jobs, ordered by id.
  ///
  /// - Throws: ``QudoError/Code/databaseReplaced`` if this driver's own row is missing.
  func holders() throws(QudoError) -> [Holder] {
    if let known = connection.hints.holders { return known }
    let own = connection.instance
    var isThere = false
    var holders: [Holder] = []
    do throws(QudoError) {
      try connection.each(
        """
        SELECT id, boot, locked, (SELECT ends FROM qudo_running WHERE instance = i.id ORDER BY ends, last LIMIT 1),
          (SELECT ends - lease FROM qudo_running WHERE instance = i.id ORDER BY ends DESC, last DESC LIMIT 1)
        FROM qudo_instance AS i ORDER BY id
        """
      ) { row throws(QudoError) in
        if row.integer(0) == own { return isThere = true }
        guard let firstEnd = try row.number(3), let lastBegin = try row.number(4) else { return }
        holders.append(
          Holder(instance: Instance(row), firstEnd: firstEnd, isAhead: lastBegin > now.sinceBoot))
      }
    } catch {
      throw error.of(.running)
    }
    guard own == nil || isThere else { throw .replaced("its row in qudo_instance is gone") }
    connection.hints.holders = holders
    locks?.watch(Set(holders.lazy.filter(\.instance.isLocked).map(\.instance.id)))
    return holders
  }

  /// Deletes the row of a dead instance, unless it has running jobs left to recover.
  func deleteInstance(_ instance: Instance) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_instance WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM qudo_running WHERE instance = ?1)",
      .integer(instance.id))
  }
}

extension QudoError {
  static let otherFile = "another file, or none, is at its path"
  static let otherBeside = "another file, or none, is where its -wal or its -shm was"

  /// - Parameter sign: The observation that revealed it.
  static func replaced(_ sign: String) -> QudoError {
    QudoError(
      .databaseReplaced,
      "the database was replaced, removed or restored while it was open (\(sign)); nothing was written. Close the queue and open it again"
    )
  }
}
