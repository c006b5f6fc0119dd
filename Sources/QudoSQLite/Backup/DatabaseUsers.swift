internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The programs that have a database open, as far as the kernel tells. No file of the database is opened, except its `-wal`,
/// on which SQLite has no locks.
enum DatabaseUsers {
  /// - Parameter path: The absolute path of the database, without links.
  static func of(_ path: String) -> [String] {
    var users: [String] = []
    #if os(Linux)
    let own = getpid()
    users = processes(path).map { process in
      let name = line("/proc/\(process)/comm").map { " (\($0))" } ?? ""
      return process == own ? "this process, \(process)\(name)" : "process \(process)\(name)"
    }
    #endif
    if users.isEmpty, KernelLocks(looking: path).hasDriver { users = ["a process with Qudo"] }
    return users
  }

  #if os(Linux)
  /// The processes with POSIX locks on the file or its `-shm`: "Each connection holds a shared lock" while it is open in WAL mode.
  ///
  /// A line of /proc/locks is `1: POSIX  ADVISORY  READ 4711 fd:01:1234 1073741826 1073742335`.
  private static func processes(_ path: String) -> [pid_t] {
    let inodes = Set(["", "-shm"].compactMap { FileStatus(path + $0)?.lockName })
    guard !inodes.isEmpty, let text = contents("/proc/locks") else { return [] }
    var found: Set<pid_t> = []
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count >= 6, words[1] == "POSIX", let process = pid_t(words[4]), process > 0,
        inodes.contains(String(words[5]))
      else { continue }
      found.insert(process)
    }
    return found.sorted()
  }

  private static func line(_ path: String) -> String? {
    contents(path)?.split(separator: "\n").first.map { name in
      String(name.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? "?" : Character($0) })
    }
  }

  private static func contents(_ path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(file, &buffer, buffer.count)
      guard count > 0 else { break }
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
  #endif
}

#if os(Linux)
extension FileStatus {
  /// The file as /proc/locks writes it: the device's numbers in hexadecimal and the inode.
  fileprivate var lockName: String {
    func hex(_ number: UInt64) -> String { (number < 16 ? "0" : "") + String(number, radix: 16) }
    let major = (device >> 8) & 0xFFF | (device >> 32) & 0xFFFF_F000
    let minor = device & 0xFF | (device >> 12) & 0xFFFF_FF00
    return "\(hex(major)):\(hex(minor)):\(inode)"
  }
}
#endif
