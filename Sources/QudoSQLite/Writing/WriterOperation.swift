internal import Qudo

/// An operation that waits for the writer.
class WriterOperation: @unchecked Sendable {  // reason: touched by the caller before it is handed in, then by the writer's thread only
  let isDurable: Bool
  /// Whether to refuse the operation while the WAL has its maximum size.
  let needsRoom: Bool
  let deadline: ContinuousClock.Instant

  init(isDurable: Bool, needsRoom: Bool, deadline: ContinuousClock.Instant) {
    self.isDurable = isDurable
    self.needsRoom = needsRoom
    self.deadline = deadline
  }

  /// Runs the operation in a transaction, and again after a rollback.
  func run(in transaction: Transaction) throws(QudoError) {}

  /// Resumes the caller, with an error or the result. Called once.
  func answer(_ error: QudoError?) {}
}

/// An operation that runs a verb, with its result.
final class WriteOperation<Result: Sendable>: WriterOperation, @unchecked Sendable {  // reason: `result` is touched by the writer's thread only
  private let body: @Sendable (Transaction) throws(QudoError) -> Result
  private let continuation: Continuation<Swift.Result<Result, QudoError>, Never>
  private var result: Result?

  init(
    isDurable: Bool, needsRoom: Bool, deadline: ContinuousClock.Instant,
    _ continuation: Continuation<Swift.Result<Result, QudoError>, Never>,
    _ body: @escaping @Sendable (Transaction) throws(QudoError) -> Result
  ) {
    self.body = body
    self.continuation = continuation
    super.init(isDurable: isDurable, needsRoom: needsRoom, deadline: deadline)
  }

  override func run(in transaction: Transaction) throws(QudoError) { result = try body(transaction) }

  override func answer(_ error: QudoError?) {
    if let error { return continuation.resume(returning: .failure(error)) }
    guard let result else {
      return continuation.resume(
        returning: .failure(QudoError(.database, "a committed operation left no result")))
    }
    continuation.resume(returning: .success(result))
  }
}

/// An operation that compacts the file, outside any transaction.
final class CompactOperation: WriterOperation, @unchecked Sendable {  // reason: it never varies
  private let continuation: Continuation<Swift.Result<Compaction, QudoError>, Never>

  init(
    deadline: ContinuousClock.Instant,
    _ continuation: Continuation<Swift.Result<Compaction, QudoError>, Never>
  ) {
    self.continuation = continuation
    super.init(isDurable: true, needsRoom: false, deadline: deadline)
  }

  override func answer(_ error: QudoError?) {
    continuation.resume(returning: .failure(error ?? QudoError(.database, "nothing was done")))
  }

  func answer(_ compaction: Compaction) { continuation.resume(returning: .success(compaction)) }
}

/// An operation that closes the file after all earlier ones; at its deadline, without the write lock.
final class CloseOperation: WriterOperation, @unchecked Sendable {  // reason: it never varies
  private let continuation: Continuation<Void, Never>

  init(deadline: ContinuousClock.Instant, _ continuation: Continuation<Void, Never>) {
    self.continuation = continuation
    super.init(isDurable: false, needsRoom: false, deadline: deadline)
  }

  override func answer(_ error: QudoError?) { continuation.resume() }
}
