#if MySQL
import Foundation
import MariaDBServer
import Qudo
@testable import QudoMySQL
import Testing

/// Where the user and the password come from.
@Suite struct LoginTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "qudo-login-\(UUID().uuidString)")

  private func file(_ name: String, _ text: String, mode: Int = 0o600) throws -> String {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let path = folder.appendingPathComponent(name).path
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    return path
  }

  private func server(_ text: String) throws -> DatabaseServer {
    guard case .mysql(let server) = try DatabaseURL(parsing: text).place else {
      throw QudoError(.invalidArgument, "no server")
    }
    return server
  }

  private func remove() { try? FileManager.default.removeItem(at: folder) }

  @Test("the URL comes before the environment, and that before ~/.my.cnf") func precedence() throws {
    defer { remove() }
    let options = try file("my.cnf", "[client]\nuser=ada\npassword=third\n")
    func login(_ url: String, environment: String? = nil) throws -> String {
      let server = try MySQLLogin(completing: server(url), password: environment, optionFile: options).server
      return "\(server.user ?? "-") \(server.password ?? "-")"
    }
    #expect(try login("mysql://eve:first@host/name", environment: "second") == "eve first")
    #expect(try login("mysql://eve:@host/name", environment: "second") == "eve ")
    #expect(try login("mysql://eve@host/name", environment: "second") == "eve second")
    #expect(try login("mysql://host/name", environment: "second") == "ada second")
    #expect(try login("mysql://host/name") == "ada third")
    #expect(try login("mysql://ada@host/name") == "ada third")
    #expect(try login("mysql://eve@host/name") == "eve -", "the file's password is another user's")
    let secret = try file("secret", "zeroth\n")
    #expect(
      try login("mysql://host/name?password-file=\(secret)", environment: "second") == "ada -",
      "the driver reads it")
    #expect(try Settings(server("mysql://host/name?password-file=\(secret)")).password() == "zeroth")
    #expect(throws: QudoError.self) {
      try Settings(server("mysql://eve:first@host/name?password-file=\(secret)"))
    }
  }

  @Test("files that others may read or write are told of") func modes() throws {
    defer { remove() }
    let url = try server("mysql://host/name")
    func login(_ text: String, mode: Int) throws -> MySQLLogin {
      try MySQLLogin(completing: url, password: nil, optionFile: file("my.cnf", text, mode: mode))
    }
    let text = "[client]\npassword=x\n"
    #expect(try login(text, mode: 0o640).warnings == [])
    #expect(
      try login(text, mode: 0o644).warnings.count == 1 && login(text, mode: 0o644).server.password == "x")
    #expect(
      try login(text, mode: 0o602).warnings.first?.contains("is ignored") == true
        && login(text, mode: 0o602).server.password == nil)
    let secret = try file("secret", "x", mode: 0o444)
    #expect(
      try MySQLLogin(
        completing: server("mysql://host/name?password-file=\(secret)"), password: nil, optionFile: nil
      )
      .warnings.count == 1)
  }

  @Test("a password file that is not there, no text, or too long is refused") func badFiles() throws {
    defer { remove() }
    for path in [
      "/none/at/all", try file("nul", "a\0b"), try file("long", String(repeating: "x", count: 70_000)),
      folder.path,
    ] {
      let error = #expect(throws: QudoError.self) { try SecretFile(path) }
      #expect(error?.code == .cannotOpen && error?.message.contains(path) == true)
    }
    #expect(
      try SecretFile(file("crlf", "x\r\n")).line == "x" && SecretFile(file("two", "x\n\n")).line == "x\n")
    #expect(
      try MySQLLogin(completing: server("mysql://host/name"), password: nil, optionFile: "/none/my.cnf")
        .server.password
        == nil)
  }

  private static let lines = [
    #"password = "a b"   # comment"#, #"password='p#1 "x"' # more"#, #" password = back\\slash\s\t\q"x"#,
    "password=ab#cd", #"password = "un\"quoted""#,
    #"password="abc"#, "password=x y  ", "password = ", #"password = "a" b"#, #"password=a"b"c#d"#,
    "password='a'#b",
    "password=ü'", #"password="\\""#,
  ]

  @Test("an option file is read as the client programs read it", arguments: lines) func optionFiles(
    line: String
  ) throws {
    defer { remove() }
    let text = "# x\n[mysqld]\npassword=no\n\n;y\n [client] \nuser=u\n\(line)\n[other]\npassword=no\n"
    let path = try file("my.cnf", text)
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/my_print_defaults")
    process.arguments = ["--defaults-file=\(path)", "client"]
    process.standardOutput = output
    try process.run()
    let printed = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    let found = OptionFile(text)
    #expect("--user=\(found.user ?? "")\n--password=\(found.password ?? "")\n" == printed)
  }

  @Test("a password without a value, which asks a person, and other groups say nothing")
  func optionsWithoutValue() {
    #expect(OptionFile("[client]\npassword\n").password == nil)
    #expect(OptionFile("password=x\n[clients]\npassword=y\n[client]x\n[mysql]\npassword=z").password == nil)
    #expect(OptionFile("[client]\r\npassword=x\r\nPassword=y\r\n").password == "x")
  }

  @Test("a password that is changed in its file is used for the next connection") func changedFile()
    async throws
  {
    defer { remove() }
    let server = try await MariaDBServer.start()
    let database = try await TestDatabase(on: server)
    try await server.query(
      "CREATE USER app@'%' IDENTIFIED BY 'one'; GRANT ALL ON \(database.name).* TO app@'%'")
    let path = try file("secret", "one\n")
    let driver = try MySQLDriver(
      DatabaseURL(parsing: "mysql://app@127.0.0.1:\(server.port)/\(database.name)?password-file=\(path)"))
    _ = try await driver.insert([NewJob("a")])
    try await server.query("SET PASSWORD FOR app@'%' = PASSWORD('two'); KILL CONNECTION USER app")
    let refused = await #expect(throws: QudoError.self) { try await driver.insert([NewJob("a")]) }
    #expect(refused?.code == .unreachable && refused?.mysql?.code == 1045, "it was let in before")
    _ = try file("secret", "two\n")
    #expect(try await driver.insert([NewJob("a")]).count == 1)
    await driver.close()
  }
}
#endif
