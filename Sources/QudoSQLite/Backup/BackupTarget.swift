internal import Qudo

/// A place for a backup, checked.
struct BackupTarget {
  /// The absolute path, without links.
  let path: String

  /// - Parameters:
  ///   - path: The path as the caller gave it.
  ///   - database: The absolute path of the database, without links.
  ///   - replaces: Whether a file may be there.
  init(_ path: String, of database: String, replacing replaces: Bool) throws(QudoError) {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw QudoError(
        .invalidArgument, "the backup's path is empty or contains a NUL byte: pass the path of a file")
    }
    // Links are followed here, so that a link to the database is seen.
    let files = [database] + ["-wal", "-shm", "-journal"].map { database + $0 }
    if let there = FileStatus(following: path),
      files.contains(where: { FileStatus($0)?.isSame(there) == true })
    {
      throw Self.itself(path)
    }
    if let there = FileStatus(path) { try Self.check(path, there, replacing: replaces) }
    do throws(QudoError) {
      self.path = try PathResolver.resolve(path)
    } catch {
      throw QudoError(error.code, "\(path): \(error.message)", cause: error.cause)
    }
    guard !files.contains(self.path), !files.contains(self.path + PartialFile.ending) else {
      throw Self.itself(path)
    }
    // SQLite's limit for a path and what it appends, and the file system's for a name.
    let name = self.path.utf8.count - FileSystem.folder(of: self.path).utf8.count - 1
    guard self.path.utf8.count <= 488, name <= 239 else {
      throw QudoError(
        .invalidArgument,
        "\(path): the path has more than 488 bytes or the name more than 239: use a shorter one")
    }
  }

  /// Checks again, right before the backup gets its name, that no database is replaced.
  func checkAgain(replacing replaces: Bool) throws(QudoError) {
    if let there = FileStatus(path) { try Self.check(path, there, replacing: replaces) }
  }

  private static func itself(_ path: String) -> QudoError {
    QudoError(
      .invalidArgument, "\(path) is the database itself, or a file that belongs to it: choose another path")
  }

  private static func check(_ path: String, _ there: FileStatus, replacing replaces: Bool) throws(QudoError) {
    if there.isFolder {
      throw QudoError(.invalidArgument, "\(path) is a folder: give the path of a file in it")
    }
    if there.isLink {
      throw QudoError(
        .invalidArgument, "\(path) is a symbolic link: give the path of the file that it leads to")
    }
    guard there.isFile else {
      throw QudoError(.invalidArgument, "\(path) is a device, a pipe or a socket: give the path of a file")
    }
    guard replaces else { throw QudoError.exists(path) }
    // What a program that was killed left may be empty. A database in use may have an empty -wal, too.
    let hasChanges = ["-wal", "-journal"].contains { (FileStatus(path + $0)?.size ?? 0) > 0 }
    if hasChanges || !DatabaseUsers.of(path).isEmpty {
      throw QudoError(
        .invalidArgument,
        "\(path) is a database that is in use or was not closed, and no backup: choose another name")
    }
  }
}
