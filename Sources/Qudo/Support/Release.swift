/// Which Qudo this is.
public enum QudoRelease {
  // The documentation would leave out a name that begins with the module's and "Version": such are Xcode's own.
  /// The version that CHANGELOG.md describes; with `-dev` behind it while that is unreleased.
  public static let version = "0.1.0-dev"
}
