internal import CSQLite
internal import Dispatch
internal import Qudo

/// The group-committing writer, through which every write goes.
///
/// If the writer is free, a caller commits on its own thread; handing over to another thread would cost a third of the
/// throughput. While one caller commits, others wait. Then the writer's thread runs all waiting operations in one
/// transaction with one sync, and answers each after the commit. As long as several callers come at a time, all wait for
/// the thread. Across processes, ``WriteLock`` is held during each transaction and checkpoint.
///
/// `core` is touched only by the caller that entered ``CommitQueue`` alone, by `thread`, or by `watcher` once it has taken
/// over from `thread`.
final class Writer: @unchecked Sendable {  // reason: see `core` above
  private var core: WriterCore
  private let writeLock: WriteLock
  /// In microseconds.
  private let timeout: Int64
  private let doorbell: Doorbell
  private let queue = Locked(CommitQueue<WriterOperation>())
  private let thread = DispatchQueue(label: "qudo.writer")
  /// Its own queue: Dispatch's global queues have only as many threads as cores while all of them compute.
  private let watcher = DispatchQueue(label: "qudo.writer.watch")

  init(core: consuming WriterCore, writeLock: WriteLock, timeout: Duration, doorbell: Doorbell) {
    self.core = core
    self.writeLock = writeLock
    self.timeout = timeout.wholeMicroseconds
    self.doorbell = doorbell
  }

  /// Runs `body` in a transaction that it may share with other operations, and returns after the commit. After a
  /// rollback, `body` may run again.
  ///
  /// Cancellation has no effect once the operation waits: it is carried out, and the caller gets its result.
  ///
  /// - Parameters:
  ///   - isDurable: Whether the write must be synced before the call returns. A claim need not be: if a power failure
  ///     loses it, the job runs again.
  ///   - isSmall: Whether the operation is short enough for the caller's own thread.
  ///   - needsRoom: Whether to refuse the operation while the WAL has its maximum size.
  /// - Throws: ``QudoError/Code/busy`` if the operation could not begin before the timeout.
  func write<Result: Sendable>(
    isDurable: Bool, isSmall: Bool, needsRoom: Bool = false,
    _ body: @escaping @Sendable (Transaction) throws(QudoError) -> Result
  ) async throws(QudoError) -> Result {
    guard !Task.isCancelled else {
      throw QudoError(.cancelled, "the task was cancelled before anything was written")
    }
    if isSmall, let result = try alone(isDurable, needsRoom, body) { return result }
    let result: Swift.Result<Result, QudoError> = await withContinuation { continuation in
      submit(
        .write(
          Write(isDurable: isDurable, needsRoom: needsRoom, deadline: .after(timeout), continuation, body)))
    }
    return try result.get()
  }

  /// Compacts the file under the write lock.
  func compact() async throws(QudoError) -> Compaction {
    try await withContinuation { continuation in
      submit(.compact(QueuedCompaction(until: .after(timeout), continuation)))
    }.get()
  }

  /// Refuses new operations, completes those already submitted, and returns when the file is closed.
  ///
  /// If another process keeps the write lock, submitted operations fail with `busy` at their timeouts. After the
  /// timeout, the file is closed without the lock.
  func close() async {
    await withContinuation { continuation in
      let close = QueuedClose(until: .after(timeout), continuation)
      switch queue.withLock({ $0.close(.close(close), until: close.deadline) }) {
      case .queued: break
      case .queuedFirst: thread.async { self.drain() }
      case .closed: continuation.resume()
      }
    }
  }

  var isClosed: Bool { queue.withLock { $0.isClosed } }

  /// The number of operations that were admitted so far. A read on the writer's connection counts, too.
  var admittedCount: UInt64 { queue.withLock { $0.admitted } }

  /// The number of operations that wait for a commit.
  var waitingCount: Int { queue.withLock { $0.count } }

  private func submit(_ operation: WriterOperation) {
    switch queue.withLock({ $0.enqueue(operation, until: operation.deadline) }) {
    case .queued: break
    case .queuedFirst: thread.async { self.drain() }
    case .closed: operation.fail(QudoError(.closed, "the database was closed"))
    }
  }

  // MARK: On the caller's thread

  /// Reads on the writer's connection, without the write lock and ahead of waiting operations.
  ///
  /// - Returns: Nil if the writer is busy, or if the read failed; the verb itself will report the error. `isBehind` is whether
  ///   another process held the write lock: what it has written may not be visible yet.
  func readIfFree<Result>(_ body: (Transaction) throws(QudoError) -> Result?) -> (
    result: Result, isBehind: Bool
  )? {
    guard queue.withLock({ $0.enterAlone(toRead: true) }) else { return nil }
    defer { if queue.withLock({ $0.leave(more: false) }) { thread.async { self.drain() } } }
    // Before the read: a process that gives the lock back in the meantime has published its commit before.
    let isBehind = !writeLock.takeIfFree()
    if !isBehind { writeLock.giveBack() }
    guard let result = try? core.read(body) else { return nil }
    return (result, isBehind)
  }

  /// Commits on the caller's thread.
  ///
  /// - Returns: Nil if the operation must wait for others, or if the disk is too slow to block a thread of Swift's pool.
  private func alone<Result>(
    _ isDurable: Bool, _ needsRoom: Bool, _ body: (Transaction) throws(QudoError) -> Result
  ) throws(QudoError) -> Result? {
    guard queue.withLock({ $0.enterAlone() }) else { return nil }
    defer {
      let more = core.needsCheckpoint
      if queue.withLock({ $0.leave(more: more) }) { thread.async { self.drain() } }
    }
    guard !core.isSlow, !(needsRoom && core.hasNoRoom), writeLock.takeIfFree() else { return nil }
    defer { if core.takeRing() { doorbell.ring() } }
    defer { writeLock.giveBack() }
    do {
      return try core.transact(isDurable: isDurable, waits: false, body)
    } catch {
      if error.code == .busy { return nil }
      throw error
    }
  }

  // MARK: On the writer's thread

  private func drain() {
    repeat {
      Interleaving.point()
      do {
        guard try takeTurn() else { return }
      } catch {
        let group = queue.withLock { $0.takeGroup() }
        if !WriterGroup(group).closing.isEmpty { core.closeWithoutTurn() }
        for operation in group { operation.fail(error) }
        continue
      }
      Interleaving.point()
      let group = WriterGroup(queue.withLock { $0.takeGroup() })
      // The read transaction that blocked the checkpoint may have ended.
      if core.hasNoRoom, group.writes.contains(where: \.needsRoom) { core.checkpointIfLarge() }
      commit(core.hasNoRoom ? withRoom(group.writes)[...] : group.writes[...])
      for continuation in group.compacting { compact(continuation) }
      core.checkpointIfLarge()
      writeLock.giveBack()
      Interleaving.point()
      if core.takeRing() { doorbell.ring() }
      if !group.closing.isEmpty { core.close() }
      Interleaving.point()
      for continuation in group.closing { continuation.resume() }
    } while queue.withLock { $0.leave() }
  }

  /// Returns the writes that may run while the WAL has its maximum size. The others fail.
  private func withRoom(_ writes: [any QueuedWrite]) -> [any QueuedWrite] {
    for write in writes where write.needsRoom { write.fail(Self.noRoom) }
    return writes.filter { !$0.needsRoom }
  }

  private static let noRoom = QudoError(
    .busy,
    "the WAL has its maximum size because a long-running read transaction blocks checkpoints, and nothing was written: "
      + "end that transaction, then enqueue again")

  private func compact(_ continuation: Continuation<Result<Compaction, QudoError>, Never>) {
    continuation.resume(returning: Result { () throws(QudoError) in try core.compact() })
  }

  /// Takes the write lock.
  ///
  /// - Returns: False if the file was closed meanwhile; then this thread must not touch it.
  private func takeTurn() throws(QudoError) -> Bool {
    if writeLock.takeIfFree() { return true }
    // While this thread waits for another process, the watcher answers operations whose deadline has passed.
    let isFirst = queue.withLock { queue in
      queue.beginWaiting()
      return queue.startWatching()
    }
    if isFirst { watch() }
    let result = Result { () throws(QudoError) in try writeLock.take() }
    Interleaving.point()
    guard queue.withLock({ $0.endWaiting() }) else {
      if case .success = result { writeLock.giveBack() }
      return false
    }
    try result.get()
    return true
  }

  private func watch() {
    let tick = min(max(timeout / 4, 10_000), 1_000_000)
    watcher.asyncAfter(deadline: .now() + .microseconds(Int(tick))) { [weak self] in
      guard let self else { return }
      let (expired, last, goesOn) = queue.withLock { queue in
        let now = Deadline.now
        return (queue.takeExpired(now), queue.giveUp(now), queue.keepWatching())
      }
      for operation in expired { operation.fail(.keptBusy) }
      if !last.isEmpty { core.closeWithoutTurn() }
      for operation in last { operation.fail(.keptBusy) }
      if goesOn { watch() }
    }
  }

  /// Commits a group in one transaction.
  ///
  /// If an operation makes the transaction fail, each half of the group gets its own transaction, and so on. So only the
  /// failing operation fails, and the others need a few transactions instead of one each.
  private func commit(_ all: ArraySlice<any QueuedWrite>) {
    var group = all
    var tries = 0
    while !group.isEmpty, !tryCommit(group) {
      // A foreign writer holds the file, and waiting a while did not help. Operations with time left try again.
      tries += 1
      if tries == Self.triesBeforeAdvice, core.isHeldByApplication { core.warnOfApplication() }
      group = stillWaiting(group)
    }
  }

  /// Each try waits for a tenth of a second.
  private static let triesBeforeAdvice = 10

  /// - Returns: Whether all operations were answered; false if a foreign writer holds the file.
  private func tryCommit(_ group: ArraySlice<any QueuedWrite>) -> Bool {
    do throws(QudoError) {
      try core.transact(isDurable: group.contains { $0.isDurable }, waits: true) {
        transaction throws(QudoError) in
        for write in group { try write.run(in: transaction) }
      }
    } catch {
      switch error.code {
      case .busy: return false
      case .outcomeUnknown: for write in group { write.fail(error) }
      case _ where group.count == 1: group.first?.fail(error)
      default:
        let middle = group.startIndex + group.count / 2
        commit(group[..<middle])
        commit(stillWaiting(group[middle...]))
      }
      return true
    }
    for write in group { write.succeed() }
    return true
  }

  /// Returns the operations whose deadline has not passed; the others fail with `busy`.
  private func stillWaiting(_ group: ArraySlice<any QueuedWrite>) -> ArraySlice<any QueuedWrite> {
    let now = Deadline.now
    guard group.contains(where: { $0.deadline <= now }) else { return group }
    let error = core.isHeldByApplication ? QudoError.keptBusyByApplication : .keptBusy
    for write in group where write.deadline <= now { write.fail(error) }
    return group.filter { $0.deadline > now }[...]
  }
}

/// The operations of a group, by what they do.
private struct WriterGroup {
  private(set) var writes: [any QueuedWrite] = []
  private(set) var compacting: [Continuation<Result<Compaction, QudoError>, Never>] = []
  private(set) var closing: [Continuation<Void, Never>] = []

  init(_ operations: [WriterOperation]) {
    writes.reserveCapacity(operations.count)
    for operation in operations {
      switch operation {
      case .write(let write): writes.append(write)
      case .compact(let compaction): compacting.append(compaction.continuation)
      case .close(let close): closing.append(close.continuation)
      }
    }
  }
}
