internal import Qudo

/// `qudo_instance`: the open drivers that have claimed jobs.
struct InstanceTable {
  let connection: Connection

  /// - Returns: The new instance's id.
  func insert(boot: String, pid: Int64, openedAt: Timestamp) throws(QudoError) -> Int64 {
    do throws(QudoError) {
      try connection.run(
        "INSERT INTO qudo_instance(boot, locked, pid, opened_at) VALUES(?, 1, ?, ?)", .text(boot),
        .integer(pid), .integer(openedAt.microseconds))
    } catch {
      throw try error.orExhausted("qudo_instance", of: connection)
    }
    return connection.lastInsertedRow
  }

  /// Notes that an instance has no kernel lock.
  func setUnlocked(_ id: Int64) throws(QudoError) {
    try connection.run("UPDATE qudo_instance SET locked = 0 WHERE id = ?", .integer(id))
  }

  func delete(_ id: Int64) throws(QudoError) {
    try connection.run("DELETE FROM qudo_instance WHERE id = ?", .integer(id))
  }

  /// Deletes all instances. No number is used again.
  func deleteAll() throws(QudoError) { try connection.run("DELETE FROM qudo_instance") }

  /// Deletes an instance, unless it has running jobs left to recover.
  func deleteIfIdle(_ id: Int64) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_instance WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM qudo_running WHERE instance = ?1)",
      .integer(id))
  }

  func all() throws(QudoError) -> [Instance] {
    var all: [Instance] = []
    try connection.each("SELECT id, boot, locked, pid FROM qudo_instance") { row throws(QudoError) in
      all.append(Instance(row))
    }
    return all
  }

  /// Returns when the newest one was opened; nil if there is none.
  func lastOpened() throws(QudoError) -> Int64? {
    try connection.integer("SELECT max(opened_at) FROM qudo_instance")
  }

  /// Returns the instances without running jobs.
  func idle() throws(QudoError) -> [Instance] {
    var idle: [Instance] = []
    try connection.each(
      "SELECT id, boot, locked, pid FROM qudo_instance WHERE NOT EXISTS (SELECT 1 FROM qudo_running WHERE instance = qudo_instance.id)"
    ) { row throws(QudoError) in idle.append(Instance(row)) }
    return idle
  }

  /// Returns the instances other than `own` with running jobs, ordered by id, and whether `own` is there.
  func holders(besides own: Int64?, _ now: Int64) throws(QudoError) -> (holders: [Holder], hasOwn: Bool) {
    var hasOwn = false
    var holders: [Holder] = []
    do throws(QudoError) {
      try connection.each(
        """
        SELECT id, boot, locked, pid, (SELECT ends FROM qudo_running WHERE instance = i.id ORDER BY ends, last LIMIT 1),
          (SELECT ends - lease FROM qudo_running WHERE instance = i.id ORDER BY ends DESC, last DESC LIMIT 1)
        FROM qudo_instance AS i ORDER BY id
        """
      ) { row throws(QudoError) in
        if row.integer(0) == own { return hasOwn = true }
        guard let firstEnd = try row.number(4), let lastBegin = try row.number(5) else { return }
        holders.append(Holder(instance: Instance(row), firstEnd: firstEnd, isAhead: lastBegin > now))
      }
    } catch {
      throw error.of(.running)
    }
    return (holders, hasOwn)
  }

  /// Adds the missing instances of running jobs, which another program may have deleted. They count as dead.
  func adoptOrphans() throws(QudoError) {
    try connection.run(
      """
      INSERT INTO qudo_instance(id, boot, locked, pid, opened_at)
      SELECT DISTINCT instance, '', 1, 0, 0 FROM qudo_running WHERE instance NOT IN (SELECT id FROM qudo_instance)
      """)
  }
}

/// A row of `qudo_instance`.
struct Instance {
  let id: Int64
  /// The boot id that its clock read; its leases are in time since that boot.
  let boot: String
  /// Whether the instance holds a kernel lock while it lives.
  let isLocked: Bool
  /// In the instance's own process namespace; 0 if it is not known.
  let processID: Int64

  /// - Parameter row: The columns id, boot, locked, pid.
  init(_ row: Statement) {
    id = row.integer(0)
    boot = row.text(1)
    isLocked = row.integer(2) != 0
    processID = row.integer(3)
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
