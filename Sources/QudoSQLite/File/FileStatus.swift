#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The status of a path. No file is opened: closing it would lose SQLite's locks.
struct FileStatus {
  private let info: stat

  /// The status of the path itself, even if it is a symbolic link. Nil if there is nothing, or nothing that this process may look at.
  init?(_ path: String) {
    var info = stat()
    guard lstat(path, &info) == 0 else { return nil }
    self.info = info
  }

  /// The status of what the path leads to.
  init?(following path: String) {
    var info = stat()
    guard stat(path, &info) == 0 else { return nil }
    self.info = info
  }

  var isFile: Bool { isKind(S_IFREG) }
  var isFolder: Bool { isKind(S_IFDIR) }
  var isLink: Bool { isKind(S_IFLNK) }
  private func isKind(_ kind: mode_t) -> Bool { info.st_mode & S_IFMT == kind }

  var mode: mode_t { info.st_mode & 0o7777 }
  var owner: uid_t { info.st_uid }
  var group: gid_t { info.st_gid }
  /// Whether it belongs to this user or to root.
  var isOurs: Bool { owner == geteuid() || owner == 0 }
  var isOpenToAll: Bool { info.st_mode & S_IWOTH != 0 }
  /// Whether everybody may create files there, and only their owners may remove them, as in `/tmp`.
  var isLikeTmp: Bool { isOpenToAll && info.st_mode & S_ISVTX != 0 }
  /// The number of names (hard links) of the file.
  var linkCount: Int { Int(info.st_nlink) }
  var device: UInt64 { UInt64(truncatingIfNeeded: info.st_dev) }
  var inode: UInt64 { UInt64(truncatingIfNeeded: info.st_ino) }
  /// In bytes.
  var size: Int64 { Int64(info.st_size) }

  func isSame(_ other: FileStatus) -> Bool {
    info.st_dev == other.info.st_dev && info.st_ino == other.info.st_ino
  }

  /// Values that change when the file is written to or replaced.
  var stamp: [Int] {
    #if canImport(Darwin)
    let (written, changed) = (info.st_mtimespec, info.st_ctimespec)
    #else
    let (written, changed) = (info.st_mtim, info.st_ctim)
    #endif
    return [
      Int(truncatingIfNeeded: info.st_dev), Int(truncatingIfNeeded: info.st_ino), Int(info.st_size),
      Int(written.tv_sec),
      Int(written.tv_nsec), Int(changed.tv_sec), Int(changed.tv_nsec),
    ]
  }
}
