internal import Dispatch
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The right to commit or checkpoint: an exclusive `flock` on the WAL file, which all of Qudo's writers take round
/// each transaction.
///
/// Commits and checkpoints are therefore never at work at the same time, be it in two processes, which is what the
/// WAL-reset bug of SQLite 3.7.0 to 3.51.2 needs (sqlite.org/wal.html#walresetbug). The WAL is the one of the three
/// files on which SQLite itself holds no POSIX lock, so that opening and closing it loses none; and it is the same
/// file for all, since SQLite removes it with the last connection only, and a turn lives within its connection.
final class WriteLock: Sendable {
  private let file: Int32

  /// Open for as long as this is kept.
  var descriptor: Int32 { file }

  init(path: String) throws(QudoError) {
    file = open(path + "-wal", O_RDWR | O_CLOEXEC | O_NOFOLLOW)
    guard file >= 0 else {
      if QudoError.isTooManyFiles(errno) { throw QudoError(.tooManyFiles, "\(path): \(QudoError.tooManyFiles)") }
      throw QudoError(.unsupportedDatabase, "\(path)-wal cannot be opened: check the rights of the file and of its folder")
    }
  }

  /// On a file that is open, and is closed with it; for tests.
  init(file: Int32) { self.file = file }

  deinit { close(file) }

  /// Waits for it.
  func take() throws(QudoError) {
    while flock(file, LOCK_EX) != 0 {
      guard errno == EINTR else { throw QudoError(.ioError, "the database's lock failed with error \(errno)") }
    }
  }

  /// Waits for it so long at most, on this thread. Who waits in the kernel gets it in turn, which who asks again and again does not:
  /// so another thread waits there.
  ///
  /// Nothing ends its waiting but the turn. While a process keeps that, as one that was stopped does, a thread and a descriptor are
  /// left behind by the first who gives up. Whoever comes after it asks again and again, or each attempt would leave one more.
  ///
  /// - Throws: ``QudoError/Code/busy``.
  func take(within patience: Duration) throws(QudoError) {
    if takeIfFree() { return }
    let end = DispatchTime.now() + .microseconds(Int(clamping: patience.wholeMicroseconds))
    let identity = FileIdentity(descriptor: file)
    if let identity, Self.leftBehind.withLock({ $0.contains(identity) }) { return try ask(until: end) }
    let answer = Locked<(result: Result<Void, QudoError>?, isAwaited: Bool)>((nil, true))
    let answered = DispatchSemaphore(value: 0)
    DispatchQueue(label: "qudo.turn").async {
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

  /// The files for whose turn a thread still waits that nobody waits for any more.
  private static let leftBehind = Locked<Set<FileIdentity>>([])

  private func ask(until end: DispatchTime) throws(QudoError) {
    while !takeIfFree() {
      guard DispatchTime.now() < end else { throw .keptBusy }
      usleep(2000)
    }
  }

  /// Takes it if nobody has it.
  func takeIfFree() -> Bool { flock(file, LOCK_EX | LOCK_NB) == 0 }

  func giveBack() { flock(file, LOCK_UN) }
}

extension QudoError {
  static let keptBusy = QudoError(.busy, "other processes kept the database busy until the time-out: try again later")
}
