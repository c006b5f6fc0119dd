import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The command `serve`.
@Suite(.waitsForProcesses) struct ServeTests {
  let workspace: CommandWorkspace

  init() throws { workspace = try CommandWorkspace() }

  #if Dashboard
  /// A request, as bytes on a socket.
  private final class Request {
    private let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let answer: Reader

    /// - Parameter isLast: Whether the connection ends with the answer.
    init(_ lines: [String], port: UInt16, isLast: Bool = true) throws {
      answer = Reader(file: descriptor, closes: false)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = inet_addr("127.0.0.1")
      let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      guard connected == 0 else { throw GaveUp(description: "cannot connect") }
      let text = (lines + (isLast ? ["Connection: close"] : []) + ["", ""]).joined(separator: "\r\n")
      _ = text.withCString { write(descriptor, $0, strlen($0)) }
    }

    deinit { close(descriptor) }
  }

  /// Sends a request and returns all of the answer.
  private func send(_ lines: [String], port: UInt16) throws -> String {
    let request = try Request(lines, port: port)
    return try request.answer.rest()
  }

  @Test("it prints an address with a token, serves who has it, and ends at SIGTERM") func serves() throws {
    try workspace.qudo("enqueue", "mail.send", "hello")
    let serving = try workspace.start("serve", "--port", "0")
    let line = try #require(try serving.output.line())
    let parts = try #require(line.wholeMatch(of: /http:\/\/127\.0\.0\.1:([0-9]+)\/\?token=([0-9a-f]{64})/))
    let port = try #require(UInt16(parts.1))
    #expect(
      try send(["GET /jobs HTTP/1.1", "Host: 127.0.0.1:\(port)"], port: port).hasPrefix("HTTP/1.1 401 "))
    let entered = try send(["GET /?token=\(parts.2) HTTP/1.1", "Host: 127.0.0.1:\(port)"], port: port)
    #expect(entered.hasPrefix("HTTP/1.1 303 ") && entered.contains("\r\nLocation: /\r\n"))
    let cookie = try #require(
      entered.firstMatch(of: /Set-Cookie: ([^;]*); Path=\/; HttpOnly; SameSite=Strict/)
    ).1
    let page = try send(["GET /jobs HTTP/1.1", "Host: 127.0.0.1:\(port)", "Cookie: \(cookie)"], port: port)
    #expect(page.hasPrefix("HTTP/1.1 200 ") && page.contains("mail.send") && !page.contains("\(parts.2)"))
    let other = try send(["GET /jobs HTTP/1.1", "Host: evil.example", "Cookie: \(cookie)"], port: port)
    #expect(other.hasPrefix("HTTP/1.1 421 "))
    let long = try send(
      ["GET / HTTP/1.1", "Host: localhost", "X-Long: \(String(repeating: "x", count: 40_000))"], port: port)
    #expect(long.hasPrefix("HTTP/1.1 400 "))
    // Taken by this one.
    let second = try workspace.qudo("serve", "--port", "\(port)")
    #expect(second.status == 1 && second.errors.contains("cannot listen on 127.0.0.1 port \(port)"))
    serving.kill(SIGTERM)
    #expect(try serving.end() == 0)
    #expect(try serving.errors.rest().isEmpty)
  }

  @Test("a form that declares too much is refused at once, and its connection ends") func tooLong() throws {
    try workspace.qudo("enqueue", "mail.send", "hello")
    let serving = try workspace.start("serve", "--port", "0", "--allow-changes")
    let line = try #require(try serving.output.line())
    let parts = try #require(line.firstMatch(of: /127\.0\.0\.1:([0-9]+)\/\?token=([0-9a-f]+)/))
    let port = try #require(UInt16(parts.1))
    let entered = try send(["GET /?token=\(parts.2) HTTP/1.1", "Host: localhost"], port: port)
    let cookie = try #require(entered.firstMatch(of: /Set-Cookie: ([^;]*);/)).1
    for (path, sent, status) in [
      ("/change", "Cookie: \(cookie)", "413"), ("/change", "Cookie: none=1", "401"),
    ] {
      let request = try Request(
        ["POST \(path) HTTP/1.1", "Host: localhost", sent, "Content-Length: 70000"], port: port, isLast: false
      )
      let answer = try request.answer.rest()
      #expect(answer.hasPrefix("HTTP/1.1 \(status) ") && answer.contains("\r\nConnection: close\r\n"))
    }
    serving.kill(SIGTERM)
    #expect(try serving.end() == 0)
  }

  @Test("an open stream ends with the server") func streams() throws {
    try workspace.qudo("enqueue", "mail.send", "hello")
    let token = String(repeating: "k", count: 40)
    try Data("\(token)\n".utf8).write(to: URL(fileURLWithPath: workspace.path("token")))
    #expect(chmod(workspace.path("token"), 0o644) == 0)
    let refused = try workspace.qudo("serve", "--port", "0", "--token-file", "token")
    #expect(refused.status == 1 && refused.errors.contains("chmod 600"))
    #expect(chmod(workspace.path("token"), 0o600) == 0)
    let serving = try workspace.start("serve", "--port", "0", "--token-file", "token")
    let line = try #require(try serving.output.line())
    let address = try #require(line.wholeMatch(of: /http:\/\/127\.0\.0\.1:([0-9]+)\//))
    let port = try #require(UInt16(address.1))
    let entered = try send(["GET /?token=\(token) HTTP/1.1", "Host: localhost"], port: port)
    let cookie = try #require(entered.firstMatch(of: /Set-Cookie: ([^;]*);/)).1
    let stream = try Request(
      ["GET /events?page=overview HTTP/1.1", "Host: localhost", "Cookie: \(cookie)"], port: port)
    try stream.answer.wait(for: "event: update")
    serving.kill(SIGTERM)
    #expect(try stream.answer.rest().contains("event: end"))
    #expect(try serving.end() == 0)
  }

  @Test("a token file is made for its owner only, and used again") func tokenFile() throws {
    try workspace.qudo("enqueue", "a", "x")
    for _ in 1...2 {
      let serving = try workspace.start("serve", "--port", "0", "--token-file", "new")
      #expect(try serving.output.line()?.contains("token") == false)
      serving.kill(SIGINT)
      #expect(try serving.end() == 0)
    }
    let attributes = try FileManager.default.attributesOfItem(atPath: workspace.path("new"))
    #expect(attributes[.posixPermissions] as? Int == 0o600)
    #expect(try workspace.text("new").count == 65)
    try Data("short".utf8).write(to: URL(fileURLWithPath: workspace.path("new")))
    #expect(try workspace.qudo("serve", "--port", "0", "--token-file", "new").errors.contains("is no token"))
  }

  @Test("without a database that can be reached it says so and does not begin") func unreachable() throws {
    let result = try workspace.qudo("serve", "--port", "0")
    #expect(result.status == 75 && result.output.isEmpty && result.errors.contains("qudo.db"))
    #expect(!workspace.exists("qudo.db"))
  }
  #else
  @Test("a build without the dashboard says so") func absent() throws {
    let result = try workspace.qudo("serve")
    #expect(result.status == 64 && result.errors.contains("Build it with --traits Dashboard"))
  }
  #endif

  @Test("an address that other machines reach needs leave") func remote() throws {
    for address in ["0.0.0.0", "192.168.1.2", "::", "example.org"] {
      let result = try workspace.qudo("serve", "--address", address)
      #expect(result.status == 64 && result.errors.contains("--allow-remote"))
    }
    #expect(try workspace.qudo("serve", "--port", "70000").status == 64)
  }
}
