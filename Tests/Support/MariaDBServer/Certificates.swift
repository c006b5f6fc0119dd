public import Foundation

/// A certificate authority of a test's own, and certificates that it signed. Needs `openssl`.
public struct Certificates: Sendable {
  /// Goes when the test process does.
  public let folder: URL
  /// The authority's certificate, for clients.
  public var authority: String { folder.appendingPathComponent("ca.pem").path }
  /// With these a server offers TLS.
  public var options: [String] {
    ["--ssl-ca=\(authority)", "--ssl-cert=\(folder.path)/server.pem", "--ssl-key=\(folder.path)/server.key"]
  }

  /// - Parameter name: of the server, as in its certificate: `IP:127.0.0.1` or `DNS:example.org`.
  public init(for name: String = "IP:127.0.0.1") async throws {
    folder = try await blocking {
      let folder = try temporaryFolder()
      let place = { (file: String) in folder.appendingPathComponent(file).path }
      let common = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
      _ = try Programs.run(
        "openssl",
        [
          "req", "-x509", "-subj", "/CN=Authority of a test", "-keyout", place("ca.key"), "-out",
          place("ca.pem"),
        ] + common)
      _ = try Programs.run(
        "openssl",
        ["req", "-subj", "/CN=Server of a test", "-keyout", place("server.key"), "-out", place("server.csr")]
          + common)
      try Data("subjectAltName=\(name)\n".utf8).write(to: folder.appendingPathComponent("names"))
      _ = try Programs.run(
        "openssl",
        [
          "x509", "-req", "-in", place("server.csr"), "-CA", place("ca.pem"), "-CAkey", place("ca.key"),
          "-CAcreateserial", "-days", "2",
          "-extfile", place("names"), "-out", place("server.pem"),
        ])
      return folder
    }
  }
}
