#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The device and inode of a file. The file is not opened: closing it would lose SQLite's locks.
struct FileIdentity: Hashable, Sendable {
  private let device: UInt64
  private let inode: UInt64

  /// Identifies the file at a path. Nil if there is none.
  init?(_ path: String) {
    var info = stat()
    guard stat(path, &info) == 0 else { return nil }
    self.init(info)
  }

  /// Identifies an open file. Nil if the descriptor is invalid.
  init?(descriptor: Int32) {
    var info = stat()
    guard fstat(descriptor, &info) == 0 else { return nil }
    self.init(info)
  }

  private init(_ info: stat) {
    device = UInt64(truncatingIfNeeded: info.st_dev)
    inode = UInt64(truncatingIfNeeded: info.st_ino)
  }
}

/// The `-wal` and the `-shm` that a driver has open.
///
/// Every process finds both by name. If one of them is replaced or removed, processes with different files neither see
/// nor wait for each other, and overwrite each other's jobs. SQLite removes them only with the last connection.
struct FilesBeside: Sendable {
  private let wal: (path: String, identity: FileIdentity?)
  private let shm: (path: String, identity: FileIdentity?)

  /// - Parameter path: The path of the open database.
  init(_ path: String) {
    // By name, as in later checks: some file systems report another inode for an open descriptor.
    wal = (path + "-wal", FileIdentity(path + "-wal"))
    shm = (path + "-shm", FileIdentity(path + "-shm"))
  }

  /// Whether one of them was replaced or removed. A file that could not be identified at first is not checked.
  var haveMoved: Bool {
    [wal, shm].contains { $0.identity != nil && FileIdentity($0.path) != $0.identity }
  }
}
