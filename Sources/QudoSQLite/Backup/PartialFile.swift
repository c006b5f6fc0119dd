internal import CSQLite
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A file that is written under another name, and gets its own when it is complete.
///
/// The other name is the own one with `.partial`, so a process that is killed leaves at most one such file, and the next
/// one overwrites it. A lock on the file keeps two processes apart.
final class PartialFile {
  static let ending = ".partial"

  /// The path under the other name.
  let path: String
  private let target: String
  private let descriptor: Int32
  private let isDatabase: Bool
  private var isPublished = false

  /// Creates an empty file that only its owner can read and write.
  ///
  /// - Parameters:
  ///   - target: The absolute path that the file gets in the end, without links.
  ///   - isDatabase: Whether this process may open the file under its own name. Default: false.
  init(for target: String, isDatabase: Bool = false) throws(QudoError) {
    (self.target, self.isDatabase) = (target, isDatabase)
    path = target + Self.ending
    descriptor = try Self.open(path)
    guard fchmod(descriptor, 0o600) == 0, ftruncate(descriptor, 0) == 0 else {
      let cause = errno
      close(descriptor)
      throw .file(cause, "cannot write to \(path)")
    }
    // A restore that was killed may have left them.
    removeBeside()
  }

  deinit {
    if !isPublished, isOurs {
      unlink(path)
      removeBeside()
    }
    // Last: the lock keeps others from the name until it is gone.
    if isPublished, isDatabase {
      // A driver of this process may have the file open. "If a process closes any file descriptor referring to a file, then
      // all of the process's locks on that file are released" (fcntl_locking(2)), and with them SQLite's. So the descriptor
      // stays open, one for each restore.
      flock(descriptor, LOCK_UN)
    } else {
      close(descriptor)
    }
  }

  /// Whether the other name still leads to the file.
  private var isOurs: Bool {
    FileIdentity(descriptor: descriptor).map { FileIdentity(path) == $0 } ?? false
  }

  private func removeBeside() { for ending in ["-wal", "-shm", "-journal"] { unlink(path + ending) } }

  /// Opens and locks the file under the other name. A file that was left there is used again.
  private static func open(_ path: String) throws(QudoError) -> Int32 {
    for _ in 0..<rounds {
      let file = openFile(path)
      guard file >= 0 else {
        if errno == ELOOP { throw notOurs(path) }
        throw .file(errno, "cannot create \(path)")
      }
      var info = stat()
      guard fstat(file, &info) == 0, info.st_mode & S_IFMT == S_IFREG, info.st_uid == geteuid(),
        info.st_nlink <= 1
      else {
        close(file)
        throw notOurs(path)
      }
      // Some network file systems have no such locks.
      if flock(file, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
        close(file)
        throw QudoError(.busy, "another backup or restore writes to \(path): wait until it has ended")
      }
      if FileIdentity(path) == FileIdentity(descriptor: file) { return file }
      // Between the opening and the lock, the other process gave the file its own name, or removed it.
      close(file)
    }
    throw QudoError(.busy, "\(path) changes while it is opened: choose another path")
  }

  /// The number of times that another process may remove the file before this one gives up.
  private static let rounds = 100

  private static func openFile(_ path: String) -> Int32 {
    #if canImport(Glibc)
    Glibc.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0o600)
    #elseif canImport(Musl)
    Musl.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0o600)
    #elseif canImport(Darwin)
    Darwin.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0o600)
    #endif
  }

  private static func notOurs(_ path: String) -> QudoError {
    QudoError(
      .unsupportedDatabase,
      "\(path) is a link, not a file, or another user's, and this name is needed for the unfinished file: remove it"
    )
  }

  /// Gives the file the owner and the permissions of another one.
  func adopt(_ status: FileStatus) throws(QudoError) {
    if status.owner != geteuid() || status.group != getegid(),
      fchown(descriptor, status.owner, status.group) != 0
    {
      throw .file(errno, "cannot give the restored file the owner and the group of the old one")
    }
    guard fchmod(descriptor, status.mode & 0o777) == 0 else {
      throw .file(errno, "cannot give the restored file the permissions of the old one")
    }
  }

  /// Writes the file to the disk.
  func sync() throws(QudoError) {
    #if canImport(Darwin)
    let result = fcntl(descriptor, F_FULLFSYNC) == -1 ? fsync(descriptor) : 0
    #else
    let result = fsync(descriptor)
    #endif
    if result != 0 { throw .file(errno, "cannot sync \(path)") }
  }

  /// Gives the file its own name.
  ///
  /// - Parameters:
  ///   - replaces: Whether to replace a file that has the name.
  ///   - existing: The error for a file that has the name and is not to be replaced. Default: `invalidArgument`.
  func publish(replacing replaces: Bool, ifExists existing: QudoError? = nil) throws(QudoError) {
    guard isOurs else {
      throw QudoError(.busy, "\(path) was removed or replaced while it was written: try again")
    }
    if replaces {
      guard rename(path, target) == 0 else { throw .file(errno, "cannot rename \(path) to \(target)") }
    } else {
      let code = Self.renameNew(path, target)
      if code == EEXIST { throw existing ?? .exists(target) }
      guard code == 0 else { throw .file(code, "cannot rename \(path) to \(target)") }
    }
    isPublished = true
    do throws(QudoError) { try FileSystem.syncFolder(of: target) } catch {
      throw QudoError(
        error.code, "\(target) is complete, but a power failure may undo its name: \(error.message)",
        cause: error.cause)
    }
  }

  private static func renameNew(_ from: String, _ to: String) -> Int32 {
    #if canImport(Darwin)
    let code = renamex_np(from, to, UInt32(RENAME_EXCL)) == 0 ? 0 : errno
    #else
    let code = qudo_rename_new(from, to)
    #endif
    guard [ENOSYS, EINVAL, ENOTSUP].contains(code) else { return code }
    // The file system cannot do it in one step.
    if FileStatus(to) != nil { return EEXIST }
    return rename(from, to) == 0 ? 0 : errno
  }

}

extension FileSystem {
  /// Writes the names in a file's folder to the disk.
  static func syncFolder(of path: String) throws(QudoError) {
    #if canImport(Glibc)
    let descriptor = Glibc.open(folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    #elseif canImport(Musl)
    let descriptor = Musl.open(folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    #elseif canImport(Darwin)
    let descriptor = Darwin.open(folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    #endif
    // A folder that may be written to but not be read cannot be opened.
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    if fsync(descriptor) != 0, ![EINVAL, ENOTSUP].contains(errno) {
      throw .file(errno, "cannot sync the folder of \(path)")
    }
  }
}

extension QudoError {
  /// - Parameters:
  ///   - cause: The `errno`.
  ///   - what: What failed.
  static func file(_ cause: Int32, _ what: String) -> QudoError {
    let text = String(cString: strerror(cause))
    switch cause {
    case ENOSPC, EDQUOT, EFBIG:
      return QudoError(.diskFull, "\(what): \(text). Free some space, then try again")
    case EACCES, EPERM, EROFS:
      return QudoError(
        .readOnly, "\(what): \(text). Check the permissions of the folder, or choose another path")
    case EMFILE, ENFILE: return QudoError(.tooManyFiles, "\(what): \(tooManyFiles)")
    case ENOENT, ENOTDIR: return QudoError(.cannotOpen, "\(what): \(text). Check the path")
    case ENAMETOOLONG: return QudoError(.invalidArgument, "\(what): \(text). Use a shorter name")
    default: return QudoError(.ioError, "\(what): \(text). Check the disk, then try again")
    }
  }

  static func exists(_ path: String) -> QudoError {
    QudoError(.invalidArgument, "\(path) exists: choose another name, or pass --replace (replacing: true)")
  }
}
