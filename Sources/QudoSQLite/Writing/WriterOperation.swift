internal import Qudo

/// An operation that waits for the writer.
///
/// Its cases hold references, so that it has the same size for every result, and is copied without looking types up.
enum WriterOperation: Sendable {
  case write(any QueuedWrite)
  case compact(QueuedCompaction)
  case close(QueuedClose)

  var deadline: Deadline {
    switch self {
    case .write(let write): write.deadline
    case .compact(let compaction): compaction.deadline
    case .close(let close): close.deadline
    }
  }

  /// Resumes the caller of an operation that was not carried out. A close does not fail: its caller continues.
  func fail(_ error: QudoError) {
    switch self {
    case .write(let write): write.fail(error)
    case .compact(let compaction): compaction.continuation.resume(returning: .failure(error))
    case .close(let close): close.continuation.resume()
    }
  }
}

/// A verb that waits for a transaction, with the caller that waits for its result.
protocol QueuedWrite: AnyObject, Sendable {
  var isDurable: Bool { get }
  /// Whether to refuse the operation while the WAL has its maximum size.
  var needsRoom: Bool { get }
  var deadline: Deadline { get }

  /// Runs the verb, and again after a rollback.
  func run(in transaction: Transaction) throws(QudoError)

  /// Resumes the caller with the result of the last run, after its commit.
  func succeed()

  func fail(_ error: QudoError)
}

final class Write<Value: Sendable>: QueuedWrite, @unchecked Sendable {  // reason: only the thread that commits touches `value`
  let isDurable: Bool
  let needsRoom: Bool
  let deadline: Deadline
  private let continuation: Continuation<Result<Value, QudoError>, Never>
  private let body: @Sendable (Transaction) throws(QudoError) -> Value
  private var value: Value?

  init(
    isDurable: Bool, needsRoom: Bool, deadline: Deadline,
    _ continuation: Continuation<Result<Value, QudoError>, Never>,
    _ body: @escaping @Sendable (Transaction) throws(QudoError) -> Value
  ) {
    self.isDurable = isDurable
    self.needsRoom = needsRoom
    self.deadline = deadline
    self.continuation = continuation
    self.body = body
  }

  func run(in transaction: Transaction) throws(QudoError) { value = try body(transaction) }

  func succeed() {
    guard let value else { return fail(QudoError(.database, "a write was committed that has not run")) }
    continuation.resume(returning: .success(value))
  }

  func fail(_ error: QudoError) { continuation.resume(returning: .failure(error)) }
}

/// Compacts the file, outside any transaction.
final class QueuedCompaction: Sendable {
  let deadline: Deadline
  let continuation: Continuation<Result<Compaction, QudoError>, Never>

  init(until deadline: Deadline, _ continuation: Continuation<Result<Compaction, QudoError>, Never>) {
    (self.deadline, self.continuation) = (deadline, continuation)
  }
}

/// Closes the file after all earlier operations; at its deadline, without the write lock.
final class QueuedClose: Sendable {
  let deadline: Deadline
  let continuation: Continuation<Void, Never>

  init(until deadline: Deadline, _ continuation: Continuation<Void, Never>) {
    (self.deadline, self.continuation) = (deadline, continuation)
  }
}

/// The time at which an operation gives up. In contrast to `ContinuousClock.Instant`, the compiler knows its size.
struct Deadline: Comparable, Sendable {
  /// In microseconds.
  private let sinceBoot: Int64

  static var now: Deadline { .after(0) }

  static func after(_ microseconds: Int64) -> Deadline {
    Deadline(sinceBoot: SystemClock.timeSinceBoot().clampedPlus(microseconds))
  }

  static func + (start: Deadline, duration: Duration) -> Deadline {
    Deadline(sinceBoot: start.sinceBoot.clampedPlus(duration.wholeMicroseconds))
  }

  static func < (one: Deadline, other: Deadline) -> Bool { one.sinceBoot < other.sinceBoot }
}
