#if Dashboard
/// Sessions without a table of them: a random number, and its code under a secret that ends with the process.
struct Sessions: Sendable {
  private let secret = Secret()
  /// The name of the cookie.
  let cookie: String

  /// - Parameter port: The server's port, because browsers send a host's cookies to all of its ports; 0 for one that is not
  ///   known yet.
  init(port: Int?) {
    cookie =
      switch port {
      case nil: "qudo-dashboard"
      case 0?: "qudo-\(Secret.randomText().prefix(8))"
      case let port?: "qudo-\(port)"
      }
  }

  /// Begins a session.
  func begin() -> String {
    let number = Secret.randomText()
    return "\(number).\(secret.code("session", number))"
  }

  /// Whether this process began the session.
  func isValid(_ session: String) -> Bool {
    let parts = session.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, session.utf8.count == 129 else { return false }
    return Secret.equal(String(parts[1]), secret.code("session", String(parts[0])))
  }

  /// The token that a form of this session must send.
  func formToken(_ session: String) -> String { secret.code("form", session) }

  func isFormToken(_ token: String, of session: String) -> Bool { Secret.equal(token, formToken(session)) }

  /// The header that gives the browser the session: not for scripts, not for requests from other sites, and until the browser
  /// closes.
  ///
  /// - Parameter isSecure: Whether the browser sends it over TLS only.
  func header(_ session: String, path: String, isSecure: Bool) -> String {
    // The dashboard's own path: it has no character that ends the attribute.
    "\(cookie)=\(session); Path=\(path.isEmpty ? "/" : path); HttpOnly; SameSite=Strict\(isSecure ? "; Secure" : "")"
  }
}
#endif
