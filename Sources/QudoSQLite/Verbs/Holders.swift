internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

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
      let id = try instanceTable.insert(boot: now.boot, pid: Int64(getpid()), openedAt: now.wall)
      switch locks.hold(id) {
      case .held: break
      case .taken:
        try instanceTable.delete(id)
        continue
      case .unsupported: try instanceTable.setUnlocked(id)
      }
      connection.hints.instance = id
      return id
    }
    throw QudoError(
      .database, "qudo_instance has no free id for this process: close other processes that use the file")
  }

  /// Deletes the rows of dead instances without running jobs.
  private func forgetDead(_ locks: KernelLocks) throws(QudoError) {
    // An instance without a kernel lock may be alive and claim again: keep its row, which is small.
    for instance in try instanceTable.idle() where !instance.isAlive(locks, now) {
      try instanceTable.delete(instance.id)
    }
  }

  /// Returns the other instances with running jobs, ordered by id.
  ///
  /// - Throws: ``QudoError/Code/databaseReplaced`` if this driver's own row is missing.
  func holders() throws(QudoError) -> [Holder] {
    if let known = connection.hints.holders { return known }
    let own = connection.instance
    let (holders, hasOwn) = try instanceTable.holders(besides: own, now.sinceBoot)
    guard own == nil || hasOwn else { throw .replaced("its row in qudo_instance is gone") }
    connection.hints.holders = holders
    locks?.watch(Set(holders.lazy.filter(\.instance.isLocked).map(\.instance.id)))
    return holders
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
