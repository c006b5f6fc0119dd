internal import CSQLite
internal import Logging
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A resolved path, checked for whether a database may be there. It opens no file: closing it would lose SQLite's locks.
///
/// A user who may write to a folder can put a link or a file in the database's place. So a link is followed only where no
/// other user can have put it, as in the kernel's `fs.protected_symlinks`, and a file in a folder like `/tmp` must belong
/// to this user, as in `fs.protected_regular`.
///
/// SQLite derives the `-wal` and the `-shm` from the path. A file with two paths has two WALs that ignore each other, so a
/// file with several hard links, or one that is itself a mount point, is refused.
struct DatabasePath {
  /// The absolute path, symbolic links resolved.
  let path: String
  private let isWritten: Bool
  private let file: FileStatus?
  private let folder: FileStatus?

  /// - Parameters:
  ///   - path: The path as the caller gave it.
  ///   - isWritten: Whether jobs will be written to the file.
  ///   - vfs: The SQLite VFS, as in ``Connection``.
  /// - Throws: `QudoError`, which names `path`.
  init(_ path: String, isWritten: Bool = true, vfs: String? = nil) throws(QudoError) {
    self.isWritten = isWritten
    do throws(QudoError) {
      self.path = try PathResolver.resolve(path)
      try Self.checkLength(self.path, vfs)
      (file, folder) = try Self.look(self.path, isWritten: isWritten)
    } catch {
      throw error.naming(path)
    }
  }

  // MARK: Making

  /// Creates an empty file that only its owner can read and write, like `ssh-keygen` and `gpg`: payloads may be secrets.
  ///
  /// SQLite gives the `-wal` and the `-shm` the same permissions. An existing file is left unchanged.
  ///
  /// - Parameter ways: The ways to try. Each creates the file and returns 0, or returns an `errno`.
  /// - Returns: Whether SQLite must create the file: see ``closeToOthers(_:)``.
  func makeFile(ways: [Access] = Self.ways) throws(QudoError) -> Bool {
    guard file == nil else { return false }
    for way in ways {
      switch way(path) {
      case 0: return false
      case EEXIST:
        // Another process, or another user, was faster.
        _ = try Self.look(path, isWritten: isWritten)
        return false
      default: continue
      }
    }
    return true
  }

  typealias Access = @Sendable (_ path: String) -> Int32

  #if os(Linux)
  private static let ways: [Access] = [makeFileByNode, makeFileByRename]
  #else
  private static let ways: [Access] = [makeFileByRename]
  #endif

  /// Creates a file without opening it, and follows no link: "If pathname already exists, or is a symbolic link, this
  /// call fails with an EEXIST error". Outside Linux only root may do it, and a sandbox may forbid it.
  @Sendable private static func makeFileByNode(_ path: String) -> Int32 {
    mknod(path, S_IFREG | 0o600, 0) == 0 ? 0 : errno
  }

  /// Creates and closes a file under another name, then renames it. No SQLite connection can have it open when it is
  /// closed, so no locks of this process are lost. It never has both names at once, which would be refused.
  @Sendable static func makeFileByRename(_ path: String) -> Int32 {
    let other = "\(FileSystem.folder(of: path))/.qudo-new-\(getpid())-\(UInt64.random(in: 0...(.max)))"
    let descriptor = open(other, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_RDWR, 0o600)
    guard descriptor >= 0 else { return errno }
    close(descriptor)
    // "Don't overwrite newpath of the rename. Return an error if newpath already exists."
    #if canImport(Darwin)
    let result = renamex_np(other, path, UInt32(RENAME_EXCL)) == 0 ? 0 : errno
    #else
    let result = qudo_rename_new(other, path)
    #endif
    if result != 0 { unlink(other) }
    return result
  }

  /// Restricts a file that SQLite created with the umask's permissions, because no other way worked. It is still empty.
  func closeToOthers(_ logger: Logger) {
    guard let made = FileStatus(path), made.isFile, made.mode & 0o077 != 0 else { return }
    if chmod(path, 0o600) == 0, FileStatus(path)?.mode == 0o600 { return }
    logger.warning(
      "the file system does not keep the rights of the database, which others may read: use another one, or restrict its folder",
      metadata: ["path": "\(path)"])
  }

  // MARK: Checks

  /// Checks the file that SQLite has opened: it may have been replaced since the first check.
  func check(_ connection: Connection) throws(QudoError) {
    // "writes a boolean into that integer depending on whether or not the file has been renamed, moved, or deleted since it was first
    // opened": sqlite.org/c3ref/c_fcntl_begin_atomic_write.html.
    var hasMoved: Int32 = 0
    if sqlite3_file_control(connection.handle, "main", SQLITE_FCNTL_HAS_MOVED, &hasMoved) == SQLITE_OK,
      hasMoved != 0
    {
      throw QudoError(.cannotOpen, "the file was replaced while it was being opened: try again")
    }
    _ = try Self.look(path, isWritten: isWritten)
  }

  /// Warns about permissions that are seldom intended. They are no error: container volumes often have them.
  func warn(_ logger: Logger) {
    if let folder, folder.isOpenToAll, !folder.isLikeTmp {
      logger.warning(
        "everybody may write to the database's folder and replace the file: remove that permission (chmod o-w)",
        metadata: ["path": "\(path)"])
    }
    if let file, file.isOpenToAll {
      logger.warning(
        "everybody may write to the database and enqueue jobs for this program: remove that permission (chmod o-w)",
        metadata: ["path": "\(path)"])
    }
  }

  static let tooLong = QudoError(
    .invalidArgument, "the path, or a name in it, is longer than the system allows: use a shorter one")
  /// The length of the longest suffix that SQLite appends to the database's name, `-journal`.
  private static let endingBytes = 8
  /// NAME_MAX of all common file systems.
  private static let nameBytes = 255

  /// SQLite opens no file whose journal's path would be longer than its `mxPathname`, "the maximum length of a pathname in
  /// this VFS"; and the file system accepts no longer names. Either would be found out only when the file has been created.
  private static func checkLength(_ path: String, _ vfs: String?) throws(QudoError) {
    let longest = Int(sqlite3_vfs_find(vfs)?.pointee.mxPathname ?? 512) - endingBytes
    guard path.utf8.count <= longest else {
      throw QudoError(
        .invalidArgument,
        "the path has \(path.utf8.count) bytes, and SQLite allows \(longest): use a shorter one")
    }
    let name =
      path.utf8.count
      - (path.utf8.lastIndex(of: UInt8(ascii: "/")).map {
        path.utf8.distance(from: path.startIndex, to: $0) + 1
      } ?? 0)
    guard name <= nameBytes - endingBytes else {
      throw QudoError(
        .invalidArgument,
        "the file's name has \(name) bytes, and the files next to it leave \(nameBytes - endingBytes): use a shorter one"
      )
    }
  }

  private static func look(_ path: String, isWritten: Bool) throws(QudoError) -> (
    file: FileStatus?, folder: FileStatus?
  ) {
    let (file, folder) = (FileStatus(path), FileStatus(FileSystem.folder(of: path)))
    if let file { try check(file, folder, isWritten: isWritten) }
    if isWritten, let file {
      guard file.linkCount <= 1 else {
        throw QudoError(
          .unsupportedDatabase,
          """
          the file has \(file.linkCount) names (hard links), and each would get its own WAL: remove the others; to share it with a \
          container, mount the folder, not the file
          """)
      }
      guard !MountPoint.isOne(path, file, folder) else {
        throw QudoError(
          .unsupportedDatabase,
          """
          the file is mounted by itself, so that it has another path with its own WAL, and jobs would be lost: mount the folder, \
          not the file
          """)
      }
    }
    for ending in ["-wal", "-shm", "-journal"] { try checkBeside(path, ending, file, folder) }
    return (file, folder)
  }

  private static func check(_ file: FileStatus, _ folder: FileStatus?, isWritten: Bool) throws(QudoError) {
    if file.isFolder {
      throw QudoError(.cannotOpen, "it is a folder, which cannot be opened: give the path of a file")
    }
    guard file.isFile else {
      throw QudoError(
        .unsupportedDatabase, "it is a device, a pipe or a socket, and not a file: give the path of a file")
    }
    guard isWritten, let folder, folder.isLikeTmp else { return }
    guard file.isOurs || file.owner == folder.owner else {
      throw QudoError(
        .unsupportedDatabase,
        "it belongs to another user, in a folder that everybody may write to: use a folder of your own")
    }
  }

  private static func checkBeside(
    _ path: String, _ ending: String, _ file: FileStatus?, _ folder: FileStatus?
  ) throws(QudoError) {
    guard let beside = FileStatus(path + ending) else { return }
    // SQLite follows no link there either, and would say only that it cannot open the database.
    guard beside.isFile else {
      throw QudoError(
        .unsupportedDatabase,
        "the \(ending) next to it is not a file: remove it, or use another path")
    }
    // SQLite would overwrite another file of this user that has this name as a hard link.
    guard beside.linkCount <= 1 else {
      throw QudoError(
        .unsupportedDatabase,
        "the \(ending) next to it has other names (hard links): remove those, or use another path")
    }
    // Elsewhere, whoever may create files there is trusted: a member of the group that shares the folder may have been the first to
    // open it.
    guard let folder, folder.isLikeTmp else { return }
    guard beside.isOurs || beside.owner == file?.owner || beside.owner == folder.owner else {
      throw QudoError(
        .unsupportedDatabase,
        "the \(ending) next to it belongs to another user, in a folder that everybody may write to: use a folder of your own"
      )
    }
  }
}
