internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Which instances, that is, open drivers of a file, are alive, as the kernel knows it: each holds a lock on one byte of the `-wal`,
/// numbered by its row in `qudo_instance`.
///
/// The locks are open-file-description locks. "Open file description locks … are only automatically released on the last close of
/// the open file description" (fcntl_locking(2)), so they vanish with their process however it dies, and no other descriptor of the
/// same process gives them up. All containers of a kernel share them, whatever each calls its boot and its processes. SQLite locks
/// no byte of the `-wal`, and ``WriteLock``'s `flock` is a lock of another kind.
final class KernelLocks: Sendable {
  /// What came of asking for a lock.
  enum Answer {
    case held
    /// Another open driver has this byte: the number was given twice, as after a restore of the file.
    case taken
    /// This file system has no such locks.
    case unsupported
  }

  /// Its descriptor is the one that holds the locks; nil for one that only looks.
  private let writeLock: WriteLock?
  /// Of the `-wal`; negative where there is none, and so nobody has the file open.
  private let descriptor: Int32
  private let held = Locked<Int64?>(nil)
  /// Those that had running jobs when they were last asked about.
  private let watched = Locked<Set<Int64>>([])

  init(_ writeLock: WriteLock) {
    self.writeLock = writeLock
    descriptor = writeLock.descriptor
  }

  /// For listings, which hold nothing.
  init(looking path: String) {
    writeLock = nil
    descriptor = open(path + "-wal", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
  }

  deinit { if writeLock == nil, descriptor >= 0 { close(descriptor) } }

  /// Locks the byte of an instance, and unlocks the one that was held before.
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

  /// From now on its jobs are those of a dead instance.
  func releaseInstance() {
    let instance = held.withLock { held in
      defer { held = nil }
      return held
    }
    if let instance { _ = set(Int16(F_UNLCK), at: Self.byte(of: instance)) }
  }

  /// Gives up all: what a driver holds is free as soon as it is closed, not when it is deallocated.
  func releaseAll() {
    releaseInstance()
    _ = set(Int16(F_UNLCK), at: 0, length: 0)
  }

  /// Whether an instance that took its lock still has it. True where the kernel does not say: then the lease decides.
  func isHeld(_ instance: Int64) -> Bool {
    if held.withLock({ $0 }) == instance { return true }
    return isLocked(Self.byte(of: instance))
  }

  // MARK: Watching

  /// Remembers whose death matters.
  func watch(_ instances: Set<Int64>) { watched.withLock { $0 = instances } }

  /// Whether one of those with running jobs has died since.
  var hasWatchedDied: Bool { watched.withLock { $0 }.contains { !isHeld($0) } }

  // MARK: Durability

  /// Says at which durability this driver writes, for as long as it is open.
  ///
  /// - Returns: whether no other open driver stands against it: one at `off` takes the promise of all others away, since what it
  ///   copies into the database file is not synced before the WAL is used again.
  func declare(_ durability: SQLiteDriver.Durability) -> Bool {
    let isOff = durability == .off
    let (own, other) = isOff ? (Self.unsynced, Self.synced) : (Self.synced, Self.unsynced)
    // A shared lock: any number of drivers may have it at once.
    guard set(Int16(F_RDLCK), at: own) == 0, isLocked(other) else { return true }
    _ = set(Int16(F_UNLCK), at: own)
    return false
  }

  /// Whether a driver is open, in whatever process: each has declared its durability.
  var hasDriver: Bool { isLocked(Self.synced) || isLocked(Self.unsynced) }

  // MARK: Bytes

  private static let unsynced: off_t = 1
  private static let synced: off_t = 2

  private static func byte(of instance: Int64) -> off_t { off_t(clamping: max(0, instance)) &+ 1024 }

  /// - Returns: 0, or `errno`.
  ///
  /// - Parameter length: 0 for all from there on.
  private func set(_ type: Int16, at byte: off_t, length: off_t = 1) -> Int32 {
    var lock = Self.lock(type, byte, length)
    while fcntl(descriptor, Self.setLock, &lock) != 0 {
      guard errno == EINTR else { return errno }
    }
    return 0
  }

  /// Whether another open file description has a lock there; true if the kernel does not say.
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

  // F_OFD_SETLK and F_OFD_GETLK, which C shows to those who define _GNU_SOURCE only.
  #if canImport(Darwin)
  private static let (setLock, getLock): (Int32, Int32) = (90, 92)
  #else
  private static let (setLock, getLock): (Int32, Int32) = (37, 36)
  #endif
}
