internal import Logging
internal import Qudo
internal import SystemPackage

/// A command that could not be started because the system or this process is out of a resource. The job is
/// retried after ``pause``, and no attempt is counted.
struct ResourceExhaustion: Error, CustomStringConvertible {
  /// The delay before the retry.
  static let pause = Duration.seconds(1)
  private let error: Errno
  var description: String { "\(error)" }

  /// - Returns: nil for an error that concerns the command or its payload.
  init?(_ error: Errno) {
    // Out of files, processes, memory, or space for a command's input and output.
    switch error {
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .resourceTemporarilyUnavailable, .noMemory, .noSpace,
      .diskQuotaExceeded:
      self.error = error
    default: return nil
    }
  }

  /// Calls `body`.
  ///
  /// - Throws: the error of `body`, converted to `ResourceExhaustion` if it is an exhausted resource.
  static func noticing<Value: ~Copyable>(_ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch let error as Errno {
      throw ResourceExhaustion(error) ?? error as any Error
    }
  }
}

/// Logs that commands cannot be started. It does not log each failure: with high concurrency there can be
/// hundreds a second.
final class ShortageLog: Sendable {
  private static let silence = Duration.seconds(10)
  private let last = Locked<ContinuousClock.Instant?>(nil)

  func add(_ shortage: ResourceExhaustion, _ logger: Logger) {
    let now = ContinuousClock.now
    let isDue = last.withLock { last in
      if let before = last, now - before < Self.silence { return false }
      last = now
      return true
    }
    guard isDue else { return }
    logger.warning("commands cannot be started, retrying", metadata: ["error": "\(shortage)"])
  }
}
