internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The kernel locks that show which instances, that is, open drivers of a file, are alive.
///
/// Each instance locks one byte of the `-wal`, numbered by its row in `qudo_instance`. The locks are
/// open-file-description locks. "Open file description locks … are only automatically released on the last close of
/// the open file description" (fcntl_locking(2)), so a lock vanishes with its process however that dies, and closing
/// another descriptor of the same process does not release it. All containers of a kernel share the locks, whatever
/// boot and process ids they see. SQLite locks no byte of the `-wal`, and ``WriteLock`` uses `flock`, which is
/// independent of these locks.
final class KernelLocks: Sendable {
  /// The answer to a request for a lock.
  enum Answer {
    case held
    /// Another open driver locks this byte: the id was used twice, as after a restore of the file.
    case taken
    /// The file system does not support open-file-description locks.
    case unsupported
  }

  /// The owner of the descriptor that holds the locks; nil for an object that only queries locks.
  private let writeLock: WriteLock?
  /// The descriptor of the `-wal`. Negative if there is no `-wal`, so no driver has the file open.
  private let descriptor: Int32
  private let held = Locked<Int64?>(nil)
  /// The instances that had running jobs when the holders were last read.
  private let watched = Locked<Set<Int64>>([])

  init(_ writeLock: WriteLock) {
    self.writeLock = writeLock
    descriptor = writeLock.descriptor
  }

  /// Creates an object that only queries locks, for listings.
  init(looking path: String) {
    writeLock = nil
    descriptor = open(path + "-wal", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
  }

  deinit { if writeLock == nil, descriptor >= 0 { close(descriptor) } }

  /// Locks the byte of an instance, and unlocks the byte held before.
  func hold(_ instance: Int64) -> Answer {
    releaseInstance()
    switch set(Int16(F_WRLCK), at: Self.byte(of: instance)) {
    case 0:
      held.withLock { $0 = instance }
      return .held
    case EAGAIN, EACCES: return .taken
    default: return .unsupported
    }
  }

  /// Unlocks this driver's byte. From now on, others recover its running jobs.
  func releaseInstance() {
    let instance = held.withLock { held in
      defer { held = nil }
      return held
    }
    if let instance { _ = set(Int16(F_UNLCK), at: Self.byte(of: instance)) }
  }

  /// Releases all locks when the driver is closed, rather than when it is deallocated.
  func releaseAll() {
    releaseInstance()
    _ = set(Int16(F_UNLCK), at: 0, length: 0)
  }

  /// Returns whether an instance still holds its lock. True if the kernel does not tell; then the lease's expiry decides.
  func isHeld(_ instance: Int64) -> Bool {
    if held.withLock({ $0 }) == instance { return true }
    return isLocked(Self.byte(of: instance))
  }

  // MARK: Watching

  /// Sets the instances that ``hasWatchedDied`` checks.
  func watch(_ instances: Set<Int64>) { watched.withLock { $0 = instances } }

  /// Whether a watched instance has died.
  var hasWatchedDied: Bool { watched.withLock { $0 }.contains { !isHeld($0) } }

  // MARK: Durability

  /// Declares the durability of this driver for as long as it is open.
  ///
  /// A driver at `off` breaks the promises of all others: it does not sync the pages it copies into the database file
  /// before the WAL is overwritten.
  ///
  /// - Returns: False if an open driver excludes this durability.
  func declare(_ durability: SQLiteDriver.Durability) -> Bool {
    let isOff = durability == .off
    let (own, other) = isOff ? (Self.unsynced, Self.synced) : (Self.synced, Self.unsynced)
    // A shared lock: any number of drivers can hold it.
    guard set(Int16(F_RDLCK), at: own) == 0, isLocked(other) else { return true }
    _ = set(Int16(F_UNLCK), at: own)
    return false
  }

  /// Whether a driver at durability `off` is open in any process.
  var hasUnsynced: Bool { isLocked(Self.unsynced) }
  /// Whether a driver at durability `full` or `normal` is.
  var hasSynced: Bool { isLocked(Self.synced) }

  /// Whether a driver is open in any process; each one has declared its durability.
  var hasDriver: Bool { isLocked(Self.synced) || isLocked(Self.unsynced) }

  // MARK: Claims

  /// Declares that this driver looks for jobs, for as long as it is open.
  ///
  /// It costs no write, and the kernel takes the lock back however the process dies.
  func declareClaimer() { _ = set(Int16(F_RDLCK), at: Self.claiming) }

  /// Whether an open driver of any process has looked for jobs; nil if the kernel does not tell.
  var hasClaimer: Bool? {
    guard descriptor >= 0 else { return false }
    var lock = Self.lock(Int16(F_WRLCK), Self.claiming, 1)
    guard fcntl(descriptor, Self.getLock, &lock) == 0 else { return nil }
    return lock.l_type != Int16(F_UNLCK)
  }

  // MARK: Bytes

  private static let unsynced: off_t = 1
  private static let synced: off_t = 2
  private static let claiming: off_t = 3

  private static func byte(of instance: Int64) -> off_t { off_t(clamping: max(0, instance)) &+ 1024 }

  /// - Parameter length: The number of bytes; 0 for all bytes from `byte` on.
  /// - Returns: 0, or `errno`.
  private func set(_ type: Int16, at byte: off_t, length: off_t = 1) -> Int32 {
    var lock = Self.lock(type, byte, length)
    while fcntl(descriptor, Self.setLock, &lock) != 0 {
      guard errno == EINTR else { return errno }
    }
    return 0
  }

  /// Returns whether another open file description locks the byte; true if the kernel does not tell.
  private func isLocked(_ byte: off_t) -> Bool {
    guard descriptor >= 0 else { return false }
    var lock = Self.lock(Int16(F_WRLCK), byte, 1)
    // "If the lock could be placed, fcntl() does not actually place it, but returns F_UNLCK in the l_type field."
    guard fcntl(descriptor, Self.getLock, &lock) == 0 else { return true }
    return lock.l_type != Int16(F_UNLCK)
  }

  private static func lock(_ type: Int16, _ byte: off_t, _ length: off_t) -> flock {
    var lock = flock()
    lock.l_type = type
    lock.l_whence = Int16(SEEK_SET)
    lock.l_start = byte
    lock.l_len = length
    return lock
  }

  // F_OFD_SETLK and F_OFD_GETLK, which C headers declare only with _GNU_SOURCE.
  #if canImport(Darwin)
  private static let (setLock, getLock): (Int32, Int32) = (90, 92)
  #else
  private static let (setLock, getLock): (Int32, Int32) = (37, 36)
  #endif
}
