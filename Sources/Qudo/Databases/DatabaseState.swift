/// The last known state of a database.
public struct DatabaseState: Sendable {
  /// Whether calls use a database.
  public enum Status: String, Sendable, CaseIterable {
    /// It has not been needed yet.
    case unopened
    /// Calls use it.
    case live
    /// It failed, and is skipped until it is probed.
    case unavailable
    /// It was unavailable, and is being probed now.
    case probing
    /// It was closed.
    case closed
  }
  /// The name of the database.
  public let database: String
  /// Whether calls use it.
  public let status: Status
  /// The reason why it is not live; nil if it is.
  public let failure: QudoError?
  /// The time until it may be probed; nil if it is not unavailable.
  public let timeUntilProbe: Duration?
}

extension DatabaseHealth {
  var standing: DatabaseState.Status {
    switch state {
    case .unopened: .unopened
    case .live: .live
    case .unavailable: .unavailable
    case .probing: .probing
    case .closed: .closed
    }
  }
}
