#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif
internal import Qudo

/// What the disk alone does.
public enum Disk {
  /// How often a second 4 KiB can be overwritten in place and synced, as a commit in a used WAL does.
  public static func syncRate(in folder: String) throws -> Double {
    let path = folder + "/sync"
    let file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    guard file >= 0 else {
      throw QudoError(.cannotOpen, "\(path) cannot be made: \(String(cString: strerror(errno)))")
    }
    defer {
      close(file)
      unlink(path)
    }
    let page = [UInt8](repeating: 1, count: 4096)
    let end = ContinuousClock.now + .milliseconds(500)
    let begin = ContinuousClock.now
    var count = 0
    while ContinuousClock.now < end {
      guard pwrite(file, page, page.count, off_t(count % 64) * 4096) == page.count, sync(file) == 0 else {
        throw QudoError(.ioError, "\(path) cannot be written to: \(String(cString: strerror(errno)))")
      }
      count += 1
    }
    return Double(count) / (ContinuousClock.now - begin).inSeconds
  }

  /// What was written to a file is on the disk, before any database opens it.
  static func sync(_ path: String) throws {
    let file = open(path, O_RDWR)
    guard file >= 0 else {
      throw QudoError(.cannotOpen, "\(path) cannot be opened: \(String(cString: strerror(errno)))")
    }
    defer { close(file) }
    guard sync(file) == 0 else {
      throw QudoError(.ioError, "\(path) cannot be synced: \(String(cString: strerror(errno)))")
    }
  }

  private static func sync(_ file: Int32) -> Int32 {
    #if canImport(Darwin)
    fcntl(file, F_FULLFSYNC)
    #else
    fdatasync(file)
    #endif
  }

  static func size(of path: String) -> Int {
    // Not by opening it: closing a database file outside SQLite loses SQLite's locks on it.
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }
}

func removeDatabase(_ path: String) {
  for ending in ["", "-wal", "-shm"] { unlink(path + ending) }
}
