/// The time at which a job that still waits is no longer worth running.
///
/// A job that waits at its expiry, for its first run or for a retry, never runs: the next claim of any worker moves it to
/// the failure log with the reason ``FailureReason/expired``, from which it can be replayed. A run that has begun by then
/// continues to its end.
public enum Expiry: Hashable, Sendable {
  /// The job waits as long as it takes.
  case never
  /// A time after the enqueue, or after the change that sets it; above zero.
  case after(Duration)
  /// A time, by the database's clock. If it has passed, the job expires at once.
  case at(Timestamp)
}

extension Expiry {
  /// Returns the time at which the job expires, or nil for never.
  package func moment(_ now: Timestamp) -> Timestamp? {
    switch self {
    case .never: nil
    case .after(let duration): min(now.advanced(by: duration), .latest)
    case .at(let time): time
    }
  }

  /// - Throws: ``QudoError/Code/invalidArgument``.
  func check(due: Due) throws(QudoError) {
    switch (self, due) {
    case (.after(let duration), _) where duration <= .zero:
      throw QudoError(.invalidArgument, "the expiry is not after the enqueue: give a duration above 0")
    case (.at(let time), _) where !(Timestamp.earliest...Timestamp.latest).contains(time):
      throw QudoError(.invalidArgument, "the expiry is outside the years 1 to 9999: give one inside")
    case (.after(let duration), .after(let delay)) where duration <= delay: throw Self.tooEarly
    case (.at(let time), .at(let due)) where time <= due: throw Self.tooEarly
    default: break
    }
  }

  private static let tooEarly = QudoError(
    .invalidArgument, "the job expires before it is due and would never run: give a later expiry")
}
