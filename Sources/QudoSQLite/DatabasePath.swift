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

/// Where a path leads to, and whether a database may be there. Nothing of it is opened: closing it would lose SQLite's locks.
///
/// Who may write to a folder can put a link, or a file of his own, where the database is to be. So a link is followed only where
/// nobody else can have put it, as the kernel does it with `fs.protected_symlinks`; and a file in a folder like `/tmp` must be one's
/// own, as with `fs.protected_regular`.
///
/// SQLite names the `-wal` and the `-shm` after the path. A file with two paths has two WALs, neither of which knows of the other:
/// so a file with several names, or one that is mounted somewhere by itself, is refused.
struct DatabasePath {
  /// Absolute, without a link in it.
  let path: String
  private let isWritten: Bool
  private let file: FileStatus?
  private let folder: FileStatus?

  /// - Parameters:
  ///   - path: as it was given.
  ///   - isWritten: whether jobs are to be written to it.
  ///   - vfs: as in ``Connection``.
  init(_ path: String, isWritten: Bool = true, vfs: String? = nil) throws(QudoError) {
    self.path = try PathResolver.resolve(path)
    self.isWritten = isWritten
    try Self.checkLength(self.path, vfs)
    (file, folder) = try Self.look(self.path, isWritten: isWritten)
  }

  // MARK: Making

  /// Makes an empty file that only its owner may read and write, as `ssh-keygen` and `gpg` make theirs: payloads may be secrets.
  /// SQLite gives the files beside it the same rights. Where there is a file already, it stays as it is.
  ///
  /// - Parameter ways: each makes the file and returns 0, or the system's number for why not.
  /// - Returns: whether SQLite has to make the file: see ``closeToOthers(_:)``.
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
  private static let ways: [Way] = [makeFileByRename]
  #endif

  /// It makes a file without opening it, and follows no link: "If pathname already exists, or is a symbolic link, this call fails with
  /// an EEXIST error". Elsewhere than on Linux only root may do it; and a sandbox may filter it.
  @Sendable private static func makeFileByNode(_ path: String) -> Int32 { mknod(path, S_IFREG | 0o600, 0) == 0 ? 0 : errno }

  /// A file of another name is made and closed, and then given this one: nobody can have it open in SQLite when it is closed, which
  /// would lose the locks that others in this process have. At no moment has it both names, which would be refused.
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

  /// Where a file system or a sandbox allows neither, SQLite has made the file with the rights that the umask leaves. Nothing is in it yet.
  func closeToOthers(_ logger: Logger) {
    guard let made = FileStatus(path), made.isFile, made.mode & 0o077 != 0 else { return }
    if chmod(path, 0o600) == 0, FileStatus(path)?.mode == 0o600 { return }
    logger.warning(
      "the file system does not keep the rights of the database, which others may read: use another one, or restrict its folder",
      metadata: ["path": "\(path)"])
  }

  // MARK: Checks

  /// Looks again at what SQLite has opened: what was right before may have been changed meanwhile.
  func check(_ connection: Connection) throws(QudoError) {
    // "writes a boolean into that integer depending on whether or not the file has been renamed, moved, or deleted since it was first
    // opened": sqlite.org/c3ref/c_fcntl_begin_atomic_write.html.
    var hasMoved: Int32 = 0
    if sqlite3_file_control(connection.handle, "main", SQLITE_FCNTL_HAS_MOVED, &hasMoved) == SQLITE_OK, hasMoved != 0 {
      throw QudoError(.cannotOpen, "the file was replaced while it was being opened: try again")
    }
    _ = try Self.look(path, isWritten: isWritten)
  }

  /// What is allowed and seldom meant. It is no error: volumes of containers are often so.
  func warn(_ logger: Logger) {
    if let folder, folder.isOpenToAll, !folder.isLikeTmp {
      logger.warning(
        "everybody may write to the database's folder, and so put another file in its place: take that right away (chmod o-w)",
        metadata: ["path": "\(path)"])
    }
    if let file, file.isOpenToAll {
      logger.warning(
        "everybody may write to the database, and so have jobs done in this program's name: take that right away (chmod o-w)",
        metadata: ["path": "\(path)"])
    }
  }

  static let tooLong = QudoError(.invalidArgument, "the path, or a name in it, is longer than the system takes: use a shorter one")
  /// The longest of what is put behind the database's name: `-journal`.
  private static let endingBytes = 8
  /// NAME_MAX of all usual file systems.
  private static let nameBytes = 255

  /// SQLite opens no file whose journal's path would be longer than its `mxPathname`, "the maximum length of a pathname in this VFS"; the
  /// file system takes no longer names. Either would be found out when the file has been made.
  private static func checkLength(_ path: String, _ vfs: String?) throws(QudoError) {
    let longest = Int(sqlite3_vfs_find(vfs)?.pointee.mxPathname ?? 512) - endingBytes
    guard path.utf8.count <= longest else {
      throw QudoError(.invalidArgument, "the path has \(path.utf8.count) bytes, and SQLite takes \(longest): use a shorter one")
    }
    let name = path.utf8.count - (path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path.utf8.distance(from: path.startIndex, to: $0) + 1 } ?? 0)
    guard name <= nameBytes - endingBytes else {
      throw QudoError(
        .invalidArgument, "the file's name has \(name) bytes, and the files beside it leave \(nameBytes - endingBytes): use a shorter one")
    }
  }

  private static func look(_ path: String, isWritten: Bool) throws(QudoError) -> (file: FileStatus?, folder: FileStatus?) {
    let (file, folder) = (FileStatus(path), FileStatus(FileSystem.folder(of: path)))
    if let file { try check(file, folder, isWritten: isWritten) }
    if isWritten, let file {
      guard file.linkCount <= 1 else {
        throw QudoError(
          .unsupportedDatabase,
          """
          the file has \(file.linkCount) names (hard links), and each would get a WAL of its own: remove the others; to share it with a \
          container, mount the folder, not the file
          """)
      }
      guard !MountPoint.isOne(path, file, folder) else {
        throw QudoError(
          .unsupportedDatabase,
          """
          the file is mounted by itself, so that it has another path with a WAL of its own, and jobs would be lost: mount the folder, \
          not the file
          """)
      }
    }
    for ending in ["-wal", "-shm", "-journal"] { try checkBeside(path, ending, file, folder) }
    return (file, folder)
  }

  private static func check(_ file: FileStatus, _ folder: FileStatus?, isWritten: Bool) throws(QudoError) {
    if file.isFolder { throw QudoError(.cannotOpen, "it is a folder, which cannot be opened: give the path of a file") }
    guard file.isFile else {
      throw QudoError(.unsupportedDatabase, "it is a device, a pipe or a socket, and not a file: give the path of a file")
    }
    guard isWritten, let folder, folder.isLikeTmp else { return }
    guard file.isOurs || file.owner == folder.owner else {
      throw QudoError(
        .unsupportedDatabase, "it belongs to another user, in a folder that everybody may write to: use a folder of your own")
    }
  }

  private static func checkBeside(_ path: String, _ ending: String, _ file: FileStatus?, _ folder: FileStatus?) throws(QudoError) {
    guard let beside = FileStatus(path + ending) else { return }
    // SQLite follows no link there either, and would say only that it cannot open the database.
    guard beside.isFile else {
      throw QudoError(.unsupportedDatabase, "what is called \(ending) beside it is not a file: remove it, or use another path")
    }
    // SQLite would write over a file of ours that somebody has given this name as well.
    guard beside.linkCount <= 1 else {
      throw QudoError(.unsupportedDatabase, "the \(ending) beside it has other names (hard links): remove those, or use another path")
    }
    // Elsewhere who may make files there is trusted: a member of the group that shares the folder may have been the first to open it.
    guard let folder, folder.isLikeTmp else { return }
    guard beside.isOurs || beside.owner == file?.owner || beside.owner == folder.owner else {
      throw QudoError(
        .unsupportedDatabase,
        "the \(ending) beside it belongs to another user, in a folder that everybody may write to: use a folder of your own")
    }
  }
}
