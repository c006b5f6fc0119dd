internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The file locks of all processes, as `/proc/locks` lists them: the only way to learn who holds one without opening the
/// file. Closing a file that SQLite has open would lose this process's locks.
///
/// It has no locks of processes in other process namespaces, such as other containers' or the host's.
struct LockList {
  struct Lock: Hashable {
    enum Kind: String { case flock = "FLOCK", posix = "POSIX", openFile = "OFDLCK" }
    let kind: Kind
    let isExclusive: Bool
    /// Nil for locks that belong to an open file and not to a process.
    let processID: Int64?
    let device: String
    let inode: UInt64
    let bytes: ClosedRange<UInt64>
  }

  private let locks: [Lock]

  /// Reads the list of the system; nil if there is none, as outside Linux.
  static func current() -> LockList? {
    #if os(Linux)
    SystemFile.read("/proc/locks").map { LockList(String(decoding: $0, as: UTF8.self)) }
    #else
    nil
    #endif
  }

  /// Parses lines such as `3: POSIX  ADVISORY  WRITE 21230 fe:00:5499104 1073741824 1073742335`.
  init(_ text: String) {
    locks = text.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ", omittingEmptySubsequences: true)
      // A lock that is waited for has an arrow in place of the kind.
      guard words.count >= 8, let kind = Lock.Kind(rawValue: String(words[1])), let first = UInt64(words[6]),
        let place = words[5].lastIndex(of: ":"), let inode = UInt64(words[5][words[5].index(after: place)...])
      else { return nil }
      let last = UInt64(words[7]) ?? .max
      guard first <= last else { return nil }
      let process = Int64(words[4]).flatMap { $0 > 0 ? $0 : nil }
      return Lock(
        kind: kind, isExclusive: words[3] == "WRITE", processID: process,
        device: String(words[5][..<place]), inode: inode, bytes: first...last)
    }
  }

  /// Returns the locks of a file.
  func locks(of file: FileStatus) -> [Lock] {
    let all = locks.filter { $0.inode == file.inode }
    let exact = all.filter { $0.device == file.lockDevice }
    // Some file systems show another device to programs than the kernel has for the locks.
    return exact.isEmpty && file.hasPrivateDevice ? all : exact
  }

  /// Returns the processes that hold a lock of a file.
  ///
  /// - Parameter byte: A byte that the lock has; nil for any.
  func holders(
    of file: FileStatus?, _ kind: Lock.Kind, byte: UInt64? = nil, isExclusive: Bool? = nil
  ) -> Set<Int64> {
    guard let file else { return [] }
    return Set(
      locks(of: file).lazy.filter { lock in
        lock.kind == kind && byte.map(lock.bytes.contains) != false
          && isExclusive.map { $0 == lock.isExclusive } != false
      }.compactMap(\.processID))
  }
}

extension LockList {
  /// Whether a connection of this process has a write transaction open; false outside Linux, where nothing tells.
  static func isWrittenByThisProcess(_ path: String) -> Bool {
    let holders = current()?.holders(
      of: FileStatus(path + "-shm"), .posix, byte: WALIndex.writeByte, isExclusive: true)
    return holders?.contains(Int64(getpid())) == true
  }
}

extension FileStatus {
  /// The device as `/proc/locks` writes it: `fe:00`.
  fileprivate var lockDevice: String {
    // As gnu_dev_major and gnu_dev_minor take a dev_t apart.
    let major = (device >> 8) & 0xFFF | (device >> 32) & ~0xFFF
    let minor = device & 0xFF | (device >> 12) & ~0xFF
    func hex(_ number: UInt64) -> String { (number < 16 ? "0" : "") + String(number, radix: 16) }
    return hex(major) + ":" + hex(minor)
  }

  /// Whether the device has no number of its own: that of a subvolume of btrfs, or of a file on overlayfs.
  fileprivate var hasPrivateDevice: Bool { (device >> 8) & 0xFFF | (device >> 32) & ~0xFFF == 0 }
}

/// Small files of the system, such as those in `/proc`.
enum SystemFile {
  /// Returns the content of a file; nil if it cannot be read. Never a database: closing it would lose SQLite's locks.
  static func read(_ path: String) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      #if canImport(Glibc)
      let count = Glibc.read(file, &buffer, buffer.count)
      #elseif canImport(Musl)
      let count = Musl.read(file, &buffer, buffer.count)
      #else
      let count = Darwin.read(file, &buffer, buffer.count)
      #endif
      guard count > 0 else { return count == 0 ? all : nil }
      all += buffer.prefix(count)
    }
  }

  /// Returns the name of a process for a message: `process 17 (qudo)`.
  static func process(_ id: Int64) -> String {
    if id == getpid() { return "this process (\(id))" }
    // A program chooses its name.
    let name = read("/proc/\(id)/comm").map { bytes in
      String(decoding: bytes.prefix { $0 != 10 }.map { $0 < 32 || $0 == 127 ? 63 : $0 }, as: UTF8.self)
    }
    return "process \(id)" + (name.map { " (\($0))" } ?? "")
  }

  /// Returns the names of processes, or `unknown` for none.
  static func processes(_ ids: Set<Int64>, orElse unknown: String) -> String {
    ids.isEmpty ? unknown : ids.sorted().prefix(5).map(process).joined(separator: ", ")
  }
}
