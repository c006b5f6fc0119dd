internal import CSQLite
internal import Dispatch
internal import Qudo

/// The only way to write.
///
/// A caller who finds the writer free commits on its own thread: a hand-over to another would cost it a third. While
/// somebody is at work the others wait, and then a thread of the writer's own runs all that wait in one transaction
/// with one sync; each is answered after that commit. Between processes, ``WriteLock`` is held round each transaction and
/// checkpoint.
final class Writer: @unchecked Sendable {  // reason: `core` is touched only by who entered ``CommitQueue`` alone, by `thread`, or by `watcher` once it was given `thread`'s part
  private var core: WriterCore
  private let writeLock: WriteLock
  private let timeout: Duration
  private let doorbell: Doorbell
  private let queue = Locked(CommitQueue<WriterOperation>())
  private let thread = DispatchQueue(label: "qudo.writer")
  /// Not a global queue of Dispatch, which has no more threads than there are cores while all of them compute.
  private let watcher = DispatchQueue(label: "qudo.writer.watch")

  init(core: consuming WriterCore, writeLock: WriteLock, timeout: Duration, doorbell: Doorbell) {
    self.core = core
    self.writeLock = writeLock
    self.timeout = timeout
    self.doorbell = doorbell
  }

  /// Runs `body` in a transaction that may be shared, and returns after it is committed. `body` may be run again after
  /// a roll-back.
  ///
  /// Once the operation waits, a cancelled task still gets the operation's own answer: what was handed in is done.
  ///
  /// - Parameters:
  ///   - isDurable: whether it must be on the disk before it is answered. A claim need not: lost in a power cut, it is
  ///     a job that runs again.
  ///   - isSmall: whether it is done in a moment, so that a caller may do it on its own thread.
  ///   - needsRoom: whether it is refused while the WAL is as large as it may become.
  /// - Throws: ``QudoError/Code/busy`` when it could not begin within the time-out.
  func write<Result: Sendable>(
    isDurable: Bool, isSmall: Bool, needsRoom: Bool = false, _ body: @escaping @Sendable (Transaction) throws(QudoError) -> Result
  ) async throws(QudoError) -> Result {
    guard !Task.isCancelled else { throw QudoError(.cancelled, "the task was cancelled before anything was written") }
    if isSmall, let result = try alone(isDurable, needsRoom, body) { return result }
    let result: Swift.Result<Result, QudoError> = await withContinuation { continuation in
      submit(WriteOperation(isDurable: isDurable, needsRoom: needsRoom, deadline: .now + timeout, continuation, body))
    }
    return try result.get()
  }

  /// Makes the file smaller, under the turn.
  func compact() async throws(QudoError) -> Compaction {
    try await withContinuation { continuation in submit(CompactOperation(deadline: .now + timeout, continuation)) }.get()
  }

  /// Refuses what comes later; what was handed in is still done. Returns when it is, and the file is closed.
  ///
  /// If another process keeps the turn, what was handed in is answered with `busy` when its time is up, and the file is closed
  /// without the turn after the time-out.
  func close() async {
    await withContinuation { continuation in
      let closing = CloseOperation(deadline: .now + timeout, continuation)
      switch queue.withLock({ $0.close(closing, until: closing.deadline) }) {
      case .queued: break
      case .queuedFirst: thread.async { self.drain() }
      case .closed: closing.answer(nil)
      }
    }
  }

  var isClosed: Bool { queue.withLock { $0.isClosed } }

  /// How many wait to be committed.
  var waitingCount: Int { queue.withLock { $0.count } }

  private func submit(_ operation: WriterOperation) {
    switch queue.withLock({ $0.enqueue(operation, until: operation.deadline) }) {
    case .queued: break
    case .queuedFirst: thread.async { self.drain() }
    case .closed: operation.answer(QudoError(.closed, "the database was closed"))
    }
  }

  // MARK: On the caller's thread

  /// Reads on the writer's connection, without the turn and in no order with what waits to be written.
  ///
  /// - Returns: nil if the writer is at work, or if the read failed: then the verb itself says why.
  func readIfFree<Result>(_ body: (Transaction) throws(QudoError) -> Result?) -> Result? {
    guard queue.withLock({ $0.enterAlone() }) else { return nil }
    defer { if queue.withLock({ $0.leave(more: false) }) { thread.async { self.drain() } } }
    return try? core.read(body)
  }

  /// Nil if it must wait for others after all, or if the disk is so slow that a thread of Swift's pool must not wait for it.
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
        if group.contains(where: { $0 is CloseOperation }) { core.closeWithoutTurn() }
        for operation in group { operation.answer(error) }
        continue
      }
      Interleaving.point()
      let group = queue.withLock { $0.takeGroup() }
      let closing = group.filter { $0 is CloseOperation }
      let compacting = group.compactMap { $0 as? CompactOperation }
      // Who kept the WAL from being used anew may be gone.
      if core.hasNoRoom, group.contains(where: \.needsRoom) { core.checkpointIfLarge() }
      commit(closing.isEmpty && compacting.isEmpty && !core.hasNoRoom ? group[...] : ordinary(group)[...])
      for operation in compacting { compact(operation) }
      core.checkpointIfLarge()
      writeLock.giveBack()
      Interleaving.point()
      if core.takeRing() { doorbell.ring() }
      if !closing.isEmpty { core.close() }
      Interleaving.point()
      for operation in closing { operation.answer(nil) }
    } while queue.withLock { $0.leave() }
  }

  /// Those that are done in a transaction; who may not add to the WAL is answered.
  private func ordinary(_ group: [WriterOperation]) -> [WriterOperation] {
    group.filter { operation in
      guard core.hasNoRoom, operation.needsRoom else { return !(operation is CloseOperation || operation is CompactOperation) }
      operation.answer(Self.noRoom)
      return false
    }
  }

  private static let noRoom = QudoError(
    .busy,
    """
    the WAL is as large as it may become, since somebody reads an old snapshot of the database: end that transaction, then \
    enqueue again; nothing was written
    """)

  private func compact(_ operation: CompactOperation) {
    do throws(QudoError) {
      operation.answer(try core.compact())
    } catch {
      operation.answer(error)
    }
  }

  /// - Returns: false if the file was closed meanwhile: then this thread must not touch it.
  private func takeTurn() throws(QudoError) -> Bool {
    if writeLock.takeIfFree() { return true }
    // While this thread waits for another process, another one looks after those whose time is up.
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
    let tick = min(max(timeout / 4, .milliseconds(10)), .seconds(1))
    watcher.asyncAfter(deadline: .now() + .microseconds(Int(tick.wholeMicroseconds))) { [weak self] in
      guard let self else { return }
      let (expired, last, goesOn) = queue.withLock { queue in
        let now = ContinuousClock.now
        return (queue.takeExpired(now), queue.giveUp(now), queue.keepWatching())
      }
      for operation in expired { operation.answer(QudoError.keptBusy) }
      if !last.isEmpty { core.closeWithoutTurn() }
      for operation in last { operation.answer(nil) }
      if goesOn { watch() }
    }
  }

  /// One transaction for all. If one spoils it, each half gets one of its own, and so on, so that it spoils only itself, and the others
  /// pay with a few transactions instead of one each.
  private func commit(_ all: ArraySlice<WriterOperation>) {
    var group = all
    while !group.isEmpty, !tryCommit(group) {
      // A writer that is not Qudo's has the file; it was waited for a while. Those who still have time go on.
      group = stillWaiting(group)
    }
  }

  /// - Returns: whether all were answered; else somebody else has the file.
  private func tryCommit(_ group: ArraySlice<WriterOperation>) -> Bool {
    do throws(QudoError) {
      try core.transact(isDurable: group.contains { $0.isDurable }, waits: true) { transaction throws(QudoError) in
        for operation in group { try operation.run(in: transaction) }
      }
    } catch {
      switch error.code {
      case .busy: return false
      case .outcomeUnknown: for operation in group { operation.answer(error) }
      case _ where group.count == 1: group.first?.answer(error)
      default:
        let middle = group.startIndex + group.count / 2
        commit(group[..<middle])
        commit(stillWaiting(group[middle...]))
      }
      return true
    }
    for operation in group { operation.answer(nil) }
    return true
  }

  /// Those who still have time; the others are answered.
  private func stillWaiting(_ group: ArraySlice<WriterOperation>) -> ArraySlice<WriterOperation> {
    let now = ContinuousClock.now
    guard group.contains(where: { $0.deadline <= now }) else { return group }
    for operation in group where operation.deadline <= now { operation.answer(QudoError.keptBusy) }
    return group.filter { $0.deadline > now }[...]
  }
}
