/// Which Qudo this is.
public enum QudoVersion {
  /// The version that CHANGELOG.md describes; with `-dev` behind it while that is unreleased.
  public static let current = "0.1.0-dev"
}
