/// The version of Qudo.
package enum QudoRelease {
  // A name like "QudoVersion" would be missing from the documentation, which takes it for one of Xcode's.
  /// The version that CHANGELOG.md describes, with `-dev` until it is released.
  package static let version = "0.1.0-dev"
}
