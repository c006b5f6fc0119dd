internal import Qudo

/// The programs that have a database open, as far as the kernel tells. No file of the database is opened, except its `-wal`,
/// on which SQLite has no locks.
enum DatabaseUsers {
  /// Returns their names for a message.
  ///
  /// - Parameter path: The absolute path of the database, without links.
  static func of(_ path: String) -> [String] {
    // "Each connection holds a shared lock" while it is open in WAL mode.
    let ids = LockList.current().map { list in
      list.holders(of: FileStatus(path), .posix).union(list.holders(of: FileStatus(path + "-shm"), .posix))
    }
    let users = (ids ?? []).sorted().map(SystemFile.process)
    return users.isEmpty && KernelLocks(looking: path).hasDriver ? ["a process with Qudo"] : users
  }
}
