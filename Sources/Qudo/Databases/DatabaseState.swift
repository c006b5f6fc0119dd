/// What is known of a database, without asking it.
public struct DatabaseState: Sendable {
  /// Whether it is used.
  public enum Standing: String, Sendable, CaseIterable {
    /// It was not needed yet.
    case unopened
    /// It is used.
    case live
    /// It had trouble, and is not used for a while.
    case setAside
    /// It was set aside, and somebody finds out whether it is there again.
    case probing
    /// It was closed.
    case closed
  }
  /// Its name.
  public let database: String
  /// Whether it is used.
  public let standing: Standing
  /// Why it is not.
  public let trouble: QudoError?
  /// In how long somebody is to find out whether it is there again.
  public let retryIn: Duration?
}

extension DatabaseHealth {
  var standing: DatabaseState.Standing {
    switch state {
    case .unopened: .unopened
    case .live: .live
    case .setAside: .setAside
    case .probing: .probing
    case .closed: .closed
    }
  }
}
