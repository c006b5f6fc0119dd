internal import Dispatch
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The cross-process lock for commits and checkpoints: an exclusive `flock` on the `-wal`, which every Qudo writer holds
/// during each transaction.
///
/// So a commit and a checkpoint never run at the same time, even in two processes; the WAL-reset bug of SQLite 3.7.0 to
/// 3.51.2 needs exactly that (sqlite.org/wal.html#walresetbug). Of SQLite's three files, the `-wal` is the one on which
/// SQLite holds no POSIX locks, so opening and closing it releases none. All processes lock the same file: SQLite
/// removes the `-wal` only with the last connection, and a connection is open for as long as the lock is held.
final class WriteLock: Sendable {
  private let file: Int32

  /// The descriptor of the `-wal`, open for the lifetime of this object.
  var descriptor: Int32 { file }

  init(path: String) throws(QudoError) {
    file = open(path + "-wal", O_RDWR | O_CLOEXEC | O_NOFOLLOW)
    guard file >= 0 else {
      if QudoError.isTooManyFiles(errno) {
        throw QudoError(.tooManyFiles, "\(path): \(QudoError.tooManyFiles)")
      }
      throw QudoError(
        .unsupportedDatabase, "cannot open \(path)-wal: check the permissions of the file and of its folder")
    }
  }

  /// Creates a lock on an open descriptor, and takes over closing it; for tests.
  init(file: Int32) { self.file = file }

  deinit { close(file) }

  /// Takes the lock, without a timeout.
  func take() throws(QudoError) {
    while flock(file, LOCK_EX) != 0 {
      guard errno == EINTR else {
        throw QudoError(.ioError, "the database's lock failed with error \(errno)")
      }
    }
  }

  /// Takes the lock, and blocks this thread for at most `timeout`.
  ///
  /// The kernel serves blocked waiters in order, but not pollers, so a second thread blocks in the kernel. Only the lock
  /// can end that wait: if a process keeps the lock, for example because it is stopped, the first caller to time out
  /// leaves a thread and a descriptor behind. Later callers poll, so that each attempt does not leave one more.
  ///
  /// - Throws: ``QudoError/Code/busy`` if the lock was not free in time.
  func take(within timeout: Duration) throws(QudoError) {
    if takeIfFree() { return }
    let end = DispatchTime.now() + .microseconds(Int(clamping: timeout.wholeMicroseconds))
    let identity = FileIdentity(descriptor: file)
    if let identity, Self.leftBehind.withLock({ $0.contains(identity) }) { return try ask(until: end) }
    let answer = Locked<(result: Result<Void, QudoError>?, isAwaited: Bool)>((nil, true))
    let answered = DispatchSemaphore(value: 0)
    DispatchQueue(label: "qudo.writelock").async {
      let result = Result { () throws(QudoError) in try self.take() }
      let isAwaited = answer.withLock { answer in
        answer.result = result
        return answer.isAwaited
      }
      if !isAwaited {
        if case .success = result { self.giveBack() }
        if let identity { Self.leftBehind.withLock { _ = $0.remove(identity) } }
      }
      answered.signal()
    }
    _ = answered.wait(timeout: end)
    let result = answer.withLock { answer in
      answer.isAwaited = false
      if answer.result == nil, let identity { Self.leftBehind.withLock { _ = $0.insert(identity) } }
      return answer.result
    }
    guard let result else { throw .keptBusy }
    try result.get()
  }

  /// The files for whose lock an abandoned thread still waits.
  private static let leftBehind = Locked<Set<FileIdentity>>([])

  private func ask(until end: DispatchTime) throws(QudoError) {
    while !takeIfFree() {
      guard DispatchTime.now() < end else { throw .keptBusy }
      usleep(2000)
    }
  }

  /// Takes the lock if it is free.
  func takeIfFree() -> Bool { flock(file, LOCK_EX | LOCK_NB) == 0 }

  func giveBack() { flock(file, LOCK_UN) }
}

extension QudoError {
  static let keptBusy = QudoError(
    .busy, "other processes kept the database busy until the timeout: try again later")
  static let keptBusyByApplication = QudoError(
    .busy,
    "a transaction of this process kept the database busy until the timeout, and nothing was written: "
      + "if it awaits this call, enqueue in it with enqueue(_:in:), or call after its end")
}
