internal import Logging
internal import Qudo
internal import SystemPackage

/// A command that could not be started because the system or this process is out of a resource. The job is retried after
/// ``pause``, and no attempt is counted.
struct ResourceExhaustion: Error, CustomStringConvertible {
  /// The delay before the retry.
  static let pause = Duration.seconds(1)
  private let error: Errno
  var description: String { "\(error)" }

  /// - Returns: nil for an error that says something of the command or its payload.
  init?(_ error: Errno) {
    // Files, processes, memory, room for the files that are a command's input and output.
    switch error {
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .resourceTemporarilyUnavailable, .noMemory, .noSpace,
      .diskQuotaExceeded:
      self.error = error
    default: return nil
    }
  }

  /// - Throws: the error of `body`, as a `ResourceExhaustion` if it is one.
  static func noticing<Value: ~Copyable>(_ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch let error as Errno {
      throw ResourceExhaustion(error) ?? error as any Error
    }
  }
}

/// Says that commands cannot be started: not for each, as it would be hundreds a second when many could run.
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
