#if MySQL
import Foundation
import MariaDBServer
import ProcessSupport
import Testing

/// The command reaches a server without a password among its arguments, which all users of the machine can read.
@Suite(.waitsForProcesses) struct ServerLoginTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private func write(_ name: String, _ text: String, mode: Int = 0o600) throws {
    try Data(text.utf8).write(to: place.folder.appendingPathComponent(name))
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: place.path(name))
  }

  enum Place: CaseIterable {
    case file, environment, optionFile
  }

  @Test("from a file, the environment or ~/.my.cnf", arguments: Place.allCases) func password(
    from source: Place
  )
    async throws
  {
    let server = try await MariaDBServer.shared()
    let name = try await server.makeDatabase()
    var (environment, user, options) = (["HOME": place.folder.path], "\(server.user)@", "")
    switch source {
    case .file:
      try write("secret", server.password + "\n", mode: 0o604)
      options = "?password-file=secret"
    case .environment: environment["QUDO_MYSQL_PASSWORD"] = server.password
    case .optionFile:
      user = ""
      try write(".my.cnf", "[client]\nuser = \(server.user)\npassword = '\(server.password)'\n")
    }
    let url = "mysql://\(user)127.0.0.1:\(server.port)/\(name)\(options)"
    let running = try Running(
      built("qudo"), ["enqueue", "k", "--lines", "--call-timeout", "5m", "--database", url], in: place.folder,
      environment: environment,
      input: Pipe(), output: Pipe(),
      errors: Pipe())
    try running.write("hello\n")
    #expect(try running.output.line() == "1")
    #if os(Linux)
    let arguments = try Data(contentsOf: URL(fileURLWithPath: "/proc/\(running.id)/cmdline"))
    #expect(
      arguments.range(of: Data("enqueue".utf8)) != nil
        && arguments.range(of: Data(server.password.utf8)) == nil)
    #endif
    try running.closeInput()
    let errors = try running.errors.rest()
    #expect(try running.end() == 0)
    #expect(errors.isEmpty == (source != .file) && !errors.contains(server.password), "\(errors)")
    if source == .file {
      #expect(errors == "qudo: any user may read the password in secret. Run chmod 600 secret\n")
    }
    #expect(
      try place.qudo("work", "k=echo {}", "--until-empty", "--database", url, environment: environment).output
        == "hello\n")
  }

  @Test("a password file that is not there is told with its name") func noFile() throws {
    let result = try place.qudo("count", "--database", "mysql://u@127.0.0.1:1/name?password-file=none")
    #expect(result.status == 75 && result.errors.contains("cannot read the file none: No such file"))
    let both = try place.qudo("count", "--database", "mysql://u:p@127.0.0.1:1/name?password-file=none")
    #expect(both.status == 64 && both.errors.contains("leave one out"))
  }
}
#endif
