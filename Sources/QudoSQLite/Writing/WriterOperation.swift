internal import Qudo

/// An operation that waits for the writer.
enum WriterOperation: Sendable {
  case write(any QueuedWrite)
  /// Compacts the file, outside any transaction.
  case compact(until: ContinuousClock.Instant, Continuation<Result<Compaction, QudoError>, Never>)
  /// Closes the file after all earlier operations; at its deadline, without the write lock.
  case close(until: ContinuousClock.Instant, Continuation<Void, Never>)

  var deadline: ContinuousClock.Instant {
    switch self {
    case .write(let write): write.deadline
    case .compact(let deadline, _), .close(let deadline, _): deadline
    }
  }

  /// Whether to refuse the operation while the WAL has its maximum size.
  var needsRoom: Bool { if case .write(let write) = self { write.needsRoom } else { false } }

  /// Resumes the caller of an operation that was not carried out. A close does not fail: its caller continues.
  func fail(_ error: QudoError) {
    switch self {
    case .write(let write): write.fail(error)
    case .compact(_, let continuation): continuation.resume(returning: .failure(error))
    case .close(_, let continuation): continuation.resume()
    }
  }
}

/// A verb that waits for a transaction, with the caller that waits for its result.
protocol QueuedWrite: Sendable {
  var isDurable: Bool { get }
  var needsRoom: Bool { get }
  var deadline: ContinuousClock.Instant { get }

  /// Runs the verb, and again after a rollback.
  ///
  /// - Returns: What resumes the caller with the result. To be called after the commit.
  func run(in transaction: Transaction) throws(QudoError) -> @Sendable () -> Void

  func fail(_ error: QudoError)
}

struct Write<Value: Sendable>: QueuedWrite {
  let isDurable: Bool
  let needsRoom: Bool
  let deadline: ContinuousClock.Instant
  let continuation: Continuation<Result<Value, QudoError>, Never>
  let body: @Sendable (Transaction) throws(QudoError) -> Value

  func run(in transaction: Transaction) throws(QudoError) -> @Sendable () -> Void {
    let value = try body(transaction)
    return { [continuation] in continuation.resume(returning: .success(value)) }
  }

  func fail(_ error: QudoError) { continuation.resume(returning: .failure(error)) }
}
