internal import Dispatch
internal import Qudo

/// Reads beside the writer: on a connection and a thread of its own, so that a count of ten million rows holds up
/// nobody, and in a transaction per call, so that what one call sees is of one moment and no snapshot outlives it (an
/// old one would keep the WAL from being used anew).
final class Reader: Sendable {
  private struct State {
    /// Opened by the first call; and anew after one that failed.
    var connection: Connection?
    var closed = false
  }

  let path: String
  private let clock: any QueueClock
  private let locks: KernelLocks
  /// Which file the writer has open.
  private let file: FileIdentity?
  private let beside: FilesBeside?
  private let limits: Limits
  private let patience: Duration
  private let vfs: String?
  private let state = Locked(State())
  private let thread = DispatchQueue(label: "qudo.reader")

  /// - Parameters:
  ///   - path: absolute; the process may be in another folder by the time of the first call.
  ///   - locks: tell which holders of leases are alive.
  ///   - file: which file that must be; any for nil.
  ///   - beside: which `-wal` and `-shm` those must be; any for nil.
  ///   - patience: how long to wait for a process that recovers the file.
  ///   - vfs: as in ``Connection``.
  init(
    path: String, clock: any QueueClock, locks: KernelLocks, file: FileIdentity? = nil, beside: FilesBeside? = nil, limits: Limits = Limits(),
    patience: Duration = .seconds(30), vfs: String? = nil
  ) {
    self.path = path
    self.clock = clock
    self.locks = locks
    self.file = file
    self.beside = beside
    self.limits = limits
    self.patience = patience
    self.vfs = vfs
  }

  func read<Result: Sendable>(
    _ body: @escaping @Sendable (Snapshot) throws(QudoError) -> Result
  ) async throws(QudoError) -> Result {
    guard !Task.isCancelled else { throw QudoError(.cancelled, "the task was cancelled before anything was read") }
    let result: Swift.Result<Result, QudoError> = await withContinuation { continuation in
      thread.async {
        Interleaving.point()
        continuation.resume(returning: self.perform(body))
      }
    }
    return try result.get()
  }

  /// Refuses what comes later; what was asked before is still answered. Returns when the connection is closed.
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

  private func perform<Result: Sendable>(_ body: (Snapshot) throws(QudoError) -> Result) -> Swift.Result<Result, QudoError> {
    state.withLock { state in
      do throws(QudoError) {
        guard !state.closed else { throw QudoError(.closed, "the database was closed") }
        guard file == nil || FileIdentity(path) == file else { throw QudoError.replaced(QudoError.otherFile) }
        guard beside?.haveMoved != true else { throw QudoError.replaced(QudoError.otherBeside) }
        let connection =
          if let open = state.connection { open } else { try DatabaseOpener.reader(path: path, limits: limits, patience: patience, vfs: vfs) }
        state.connection = connection
        try connection.run("BEGIN")
        let result = try body(Snapshot(connection: connection, now: clock.now(), locks: locks))
        try connection.run("COMMIT")
        return .success(result)
      } catch {
        let connection = state.connection
        state.connection = nil
        try? connection?.endTransaction()
        return .failure((connection.map { error.ofSchema($0, "lowest_reader") } ?? error).naming(path))
      }
    }
  }
}

/// What a listing works with, inside a read transaction.
struct Snapshot {
  let connection: Connection
  let now: ClockReading
  let locks: KernelLocks
}
