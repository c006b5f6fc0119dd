internal import Dispatch
internal import Qudo

/// A reader with its own connection and thread, so that a count of ten million rows blocks no writer.
///
/// Each call runs in one read transaction: it sees one consistent state, and no snapshot outlives it. A long-running
/// read transaction would block checkpoints.
final class Reader: Sendable {
  private struct State {
    /// Opened by the first call, and again after a call that failed.
    var connection: Connection?
    var closed = false
  }

  let path: String
  private let clock: any QueueClock
  private let locks: KernelLocks
  /// The identity of the file that the writer has open.
  private let file: FileIdentity?
  private let beside: FilesBeside?
  private let limits: Limits
  private let timeout: Duration
  private let vfs: String?
  private let state = Locked(State())
  private let thread = DispatchQueue(label: "qudo.reader")

  /// - Parameters:
  ///   - path: The absolute path of the file; the process may have changed its folder before the first call.
  ///   - locks: The kernel locks that tell which holders of leases are alive.
  ///   - file: The file that `path` must lead to; nil for any.
  ///   - beside: The `-wal` and `-shm` that the file must have; nil for any.
  ///   - timeout: How long to wait for a process that recovers the file.
  ///   - vfs: The SQLite VFS, as in ``Connection``.
  init(
    path: String, clock: any QueueClock, locks: KernelLocks, file: FileIdentity? = nil,
    beside: FilesBeside? = nil, limits: Limits = Limits(),
    timeout: Duration = .seconds(30), vfs: String? = nil
  ) {
    self.path = path
    self.clock = clock
    self.locks = locks
    self.file = file
    self.beside = beside
    self.limits = limits
    self.timeout = timeout
    self.vfs = vfs
  }

  func read<Result: Sendable>(
    _ body: @escaping @Sendable (Snapshot) throws(QudoError) -> Result
  ) async throws(QudoError) -> Result {
    guard !Task.isCancelled else {
      throw QudoError(.cancelled, "the task was cancelled before anything was read")
    }
    let result: Swift.Result<Result, QudoError> = await withContinuation { continuation in
      thread.async {
        Interleaving.point()
        continuation.resume(returning: self.perform(body))
      }
    }
    return try result.get()
  }

  /// Refuses new calls, answers those already made, and returns when the connection is closed.
  func close() async {
    await withContinuation { continuation in
      thread.async {
        Interleaving.point()
        self.state.withLock { state in
          state.closed = true
          state.connection = nil
        }
        continuation.resume()
      }
    }
  }

  private func perform<Result: Sendable>(_ body: (Snapshot) throws(QudoError) -> Result)
    -> Swift.Result<Result, QudoError>
  {
    state.withLock { state in
      do throws(QudoError) {
        guard !state.closed else { throw QudoError(.closed, "the database was closed") }
        guard file == nil || FileIdentity(path) == file else { throw QudoError.replaced(QudoError.otherFile) }
        guard beside?.haveMoved != true else { throw QudoError.replaced(QudoError.otherBeside) }
        let connection =
          if let open = state.connection { open } else {
            try DatabaseOpener.reader(path: path, limits: limits, timeout: timeout, vfs: vfs)
          }
        state.connection = connection
        try connection.run("BEGIN")
        // Only with the snapshot can what the connection remembers be compared with the file. A restore may have given the
        // numbers of kinds to others.
        try connection.infoTable.takeSnapshot()
        _ = connection.invalidateIfChanged()
        let result = try body(Snapshot(connection: connection, now: clock.now(), locks: locks))
        try connection.run("COMMIT")
        return .success(result)
      } catch {
        let connection = state.connection
        state.connection = nil
        try? connection?.endTransaction()
        return .failure((connection.map { error.ofSchema($0, .reading) } ?? error).naming(path))
      }
    }
  }
}
