#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif
internal import Qudo

/// Measurements of the disk alone.
public enum Disk {
  /// Measures how many times per second 4 KiB can be overwritten in place and synced, as by a commit to a
  /// reused WAL.
  public static func syncRate(in folder: String) throws -> Double {
    let path = folder + "/sync"
    let file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    guard file >= 0 else {
      throw QudoError(.cannotOpen, "cannot create \(path): \(String(cString: strerror(errno)))")
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
        throw QudoError(.ioError, "cannot write to \(path): \(String(cString: strerror(errno)))")
      }
      count += 1
    }
    return Double(count) / (ContinuousClock.now - begin).inSeconds
  }

  /// Syncs a file to the disk, before a database opens it.
  static func sync(_ path: String) throws {
    let file = open(path, O_RDWR)
    guard file >= 0 else {
      throw QudoError(.cannotOpen, "cannot open \(path): \(String(cString: strerror(errno)))")
    }
    defer { close(file) }
    guard sync(file) == 0 else {
      throw QudoError(.ioError, "cannot sync \(path): \(String(cString: strerror(errno)))")
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
    // Do not open it: closing a database file outside SQLite releases SQLite's locks on it.
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }
}

func removeDatabase(_ path: String) {
  for ending in ["", "-wal", "-shm"] { unlink(path + ending) }
}
