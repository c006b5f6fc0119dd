internal import CSQLite

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A check for a file that is itself a mount point, as with `docker run -v /host/q.db:/data/q.db`.
enum MountPoint {
  /// - Parameters:
  ///   - path: absolute, without a link in it.
  ///   - file: what is there.
  ///   - folder: what it is in.
  static func isOne(_ path: String, _ file: FileStatus, _ folder: FileStatus?) -> Bool {
    #if os(Linux)
    // The devices do not tell: a bind mount may be of the same one, and on overlayfs a file's differs from its folder's.
    switch qudo_mount_root(path) {
    case 0: false
    case 1: true
    default: mountInfo().map { isListed(path, $0) } ?? false
    }
    #else
    file.device != folder?.device
    #endif
  }

  /// Whether a path is among the mounts of a `/proc/self/mountinfo`: "(5) mount point: the pathname of the mount point relative to the
  /// process's root directory", in which the kernel writes blanks, tabs, newlines and backslashes as `\040` and the like.
  static func isListed(_ path: String, _ mounts: some Sequence<UInt8>) -> Bool {
    let wanted = path.utf8.flatMap { byte -> [UInt8] in
      guard [0x20, 0x09, 0x0A, 0x5C].contains(byte) else { return [byte] }
      return [0x5C, 0x30 + byte >> 6, 0x30 + (byte >> 3 & 7), 0x30 + (byte & 7)]
    }
    return Array(mounts).split(separator: 0x0A).contains { line in
      line.split(separator: 0x20, maxSplits: 5).dropFirst(4).first?.elementsEqual(wanted) == true
    }
  }

  /// Nil where it cannot be read.
  private static func mountInfo() -> [UInt8]? {
    let file = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(file, &buffer, buffer.count)
      guard count > 0 else { return count == 0 ? all : nil }
      all += buffer.prefix(count)
    }
  }
}
