#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Which file a path leads to, whatever it is called. The file is not opened: closing it again would lose SQLite's locks.
struct FileIdentity: Hashable, Sendable {
  private let device: UInt64
  private let inode: UInt64

  /// Nil where there is no file.
  init?(_ path: String) {
    var info = stat()
    guard stat(path, &info) == 0 else { return nil }
    self.init(info)
  }

  /// Nil for what is no open file.
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

/// The `-wal` and the `-shm` that a driver has open. Whoever opens the database finds both by their names: if another file, or none,
/// is there, then the two of them neither see nor wait for each other, and write over each other's jobs.
///
/// SQLite removes them with the last connection only.
struct FilesBeside: Sendable {
  private let wal: (path: String, identity: FileIdentity?)
  private let shm: (path: String, identity: FileIdentity?)

  /// - Parameter path: of the database, which is open.
  init(_ path: String) {
    // By name, as they are looked for later: some file systems number an open file otherwise.
    wal = (path + "-wal", FileIdentity(path + "-wal"))
    shm = (path + "-shm", FileIdentity(path + "-shm"))
  }

  /// Whether one of them is not at its place any more. What could not be identified is not asked for.
  var haveMoved: Bool {
    [wal, shm].contains { $0.identity != nil && FileIdentity($0.path) != $0.identity }
  }
}
