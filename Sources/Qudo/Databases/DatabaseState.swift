/// What is known of a database, without asking it.
public struct DatabaseState: Sendable {
  /// Whether it is used.
  public enum Status: String, Sendable, CaseIterable {
    /// It was not needed yet.
    case unopened
    /// It is used.
    case live
    /// It had trouble, and is not used for a while.
    case unavailable
    /// It was set aside, and somebody finds out whether it is there again.
    case probing
    /// It was closed.
    case closed
  }
  /// Its name.
  public let database: String
  /// Whether it is used.
  public let status: Status
  /// Why it is not.
  public let failure: QudoError?
  /// In how long somebody is to find out whether it is there again.
  public let timeUntilProbe: Duration?
}

extension DatabaseHealth {
  var standing: DatabaseState.Status {
    switch state {
    case .unopened: .unopened
    case .live: .live
    case .setAside: .unavailable
    case .probing: .probing
    case .closed: .closed
    }
  }
}
