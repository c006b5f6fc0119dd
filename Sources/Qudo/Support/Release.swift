/// Which Qudo this is.
package enum QudoRelease {
  // The documentation would leave out a name that begins with the module's and "Version": such are Xcode's own.
  /// The version that CHANGELOG.md describes; with `-dev` behind it while that is unreleased.
  package static let version = "0.1.0-dev"
}
