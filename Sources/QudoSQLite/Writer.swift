internal import CSQLite
internal import Dispatch
internal import Qudo

/// The only way to write: callers hand in operations, one thread runs all that wait in one transaction with one
/// sync, and each is answered after that commit.
///
/// Between processes, ``Turn`` is held round each transaction and checkpoint.
final class Writer: @unchecked Sendable {  // reason: `connection` and `turn` are touched on `thread` only
  typealias Body = @Sendable (Transaction) throws(QudoError) -> Void

  private struct Operation: Sendable {
    let body: Body
    let answer: @Sendable (QudoError?) -> Void
  }
  private struct Queue {
    var waiting: [Operation] = []
    var running = false
    var closed = false
  }

  private let connection: Connection
  private let turn: Turn
  private let clock: any QueueClock
  private let boot: Int64
  private let queue = Locked(Queue())
  private let thread = DispatchQueue(label: "qudo.writer")

  /// The WAL is checkpointed when it has this many pages: 4 MB, as SQLite does by default.
  private static let checkpointPages: Int32 = 2000
  private let walPages = UnsafeMutablePointer<Int32>.allocate(capacity: 1)

  init(connection: Connection, turn: Turn, clock: any QueueClock, boot: Int64) {
    self.connection = connection
    self.turn = turn
    self.clock = clock
    self.boot = boot
    walPages.initialize(to: 0)
    sqlite3_wal_hook(
      connection.handle,
      { context, _, _, pages in
        context?.assumingMemoryBound(to: Int32.self).pointee = pages
        return SQLITE_OK
      }, walPages)
  }

  deinit {
    sqlite3_wal_hook(connection.handle, nil, nil)
    walPages.deallocate()
  }

  /// Runs `body` in a transaction that may be shared, and returns after it is committed.
  ///
  /// A task that is cancelled while the operation waits still gets the operation's own answer: what was handed in
  /// is done.
  func write<Result: Sendable>(
    _ body: @escaping @Sendable (Transaction) throws(QudoError) -> Result
  ) async throws(QudoError) -> Result {
    guard !Task.isCancelled else { throw QudoError(.cancelled, "the task was cancelled before anything was written") }
    let box = Box<Result>()
    let error: QudoError? = await withCheckedContinuation { continuation in
      submit(Operation(
        body: { transaction throws(QudoError) in box.value.withLock { $0 = nil }; let result = try body(transaction); box.value.withLock { $0 = result } },
        answer: { continuation.resume(returning: $0) }))
    }
    if let error { throw error }
    guard let result = box.value.withLock({ $0 }) else { throw QudoError(.database, "a committed operation left no result") }
    return result
  }

  private final class Box<Value: Sendable>: Sendable {
    let value = Locked<Value?>(nil)
  }

  /// Refuses what comes later; what was handed in is still done. Returns when it is.
  func close() async {
    queue.withLock { $0.closed = true }
    await withCheckedContinuation { continuation in thread.async { continuation.resume() } }
  }

  private func submit(_ operation: Operation) {
    let action = queue.withLock { queue -> (refuse: Bool, start: Bool) in
      if queue.closed { return (true, false) }
      queue.waiting.append(operation)
      let start = !queue.running
      queue.running = true
      return (false, start)
    }
    if action.refuse { operation.answer(QudoError(.closed, "the database was closed")) }
    if action.start { thread.async { self.drain() } }
  }

  private func drain() {
    while true {
      let group = queue.withLock { queue -> [Operation] in
        let group = queue.waiting
        queue.waiting = []
        if group.isEmpty { queue.running = false }
        return group
      }
      if group.isEmpty { return }
      do {
        try turn.hold { () throws(QudoError) in
          commit(group[...])
          checkpointIfLarge()
        }
      } catch {
        for operation in group { operation.answer(error) }
      }
    }
  }

  /// One transaction for all. If one spoils it, each gets a transaction of its own, so that it spoils only itself.
  private func commit(_ group: ArraySlice<Operation>) {
    do {
      try inTransaction { () throws(QudoError) in
        let transaction = Transaction(connection: connection, now: clock.now(), boot: boot)
        for operation in group { try operation.body(transaction) }
      }
    } catch {
      guard group.count > 1, error.code != .outcomeUnknown else {
        for operation in group { operation.answer(error) }
        return
      }
      for index in group.indices { commit(group[index...index]) }
      return
    }
    for operation in group { operation.answer(nil) }
  }

  private func inTransaction(_ body: () throws(QudoError) -> Void) throws(QudoError) {
    try connection.run("BEGIN IMMEDIATE")
    do {
      try body()
    } catch {
      rollBack()
      throw error
    }
    do {
      try connection.run("COMMIT")
    } catch {
      rollBack()
      // The frames may be in the WAL all the same, and then recovery finds the transaction done.
      guard error.code == .ioError else { throw error }
      throw QudoError(.outcomeUnknown, "the disk failed during the commit: it may or may not have been done", cause: error.cause)
    }
  }

  /// SQLite has rolled back by itself after some errors; then there is nothing to do.
  private func rollBack() {
    guard sqlite3_get_autocommit(connection.handle) == 0 else { return }
    sqlite3_exec(connection.handle, "ROLLBACK", nil, nil, nil)
  }

  /// Under the turn: no other Qudo commits or checkpoints. A checkpoint that cannot finish, because somebody reads
  /// an old snapshot, is tried again after the next commit.
  private func checkpointIfLarge() {
    guard walPages.pointee >= Self.checkpointPages else { return }
    var left: Int32 = 0
    var done: Int32 = 0
    // "FULL ... blocks concurrent writers while it is running": also those that are not Qudo's.
    if sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_FULL, &left, &done) == SQLITE_OK { walPages.pointee = 0 }
  }
}

/// What a verb works with, inside a transaction.
struct Transaction {
  let connection: Connection
  let now: ClockReading
  /// The number of `now.boot` in this file.
  let boot: Int64
}
