import Qudo
import QudoMySQL
import Testing

/// What `--database` takes.
@Suite struct DatabaseURLTests {
  private func server(_ text: String) throws -> DatabaseServer {
    guard case .mysql(let server) = try DatabaseURL(parsing: text).place else {
      throw QudoError(.invalidArgument, "no server")
    }
    return server
  }

  @Test(arguments: [
    ("qudo.db", "qudo.db"), ("/var/lib/a b.db", "/var/lib/a b.db"), ("sqlite:q.db", "q.db"),
    ("sqlite:/q%20.db", "/q%20.db"),
    ("sqlite:mysql:x", "mysql:x"), ("sqlite:sqlite:x", "sqlite:x"), ("sqlite:a://b", "a://b"),
    ("//net/x", "//net/x"), ("a:b", "a:b"),
    ("mysql", "mysql"), ("SQLite:q", "q"), ("./mysql:x", "./mysql:x"),
  ])
  func aPathIsTakenAsItIs(text: String, path: String) throws {
    let url = try DatabaseURL(parsing: text)
    #expect(url.place == .sqlite(path: path) && url.description == path)
    #expect(try DatabaseURL(parsing: url.text) == url)
  }

  @Test func aServerHasAllItsParts() throws {
    let found = try server(
      "mysql://ada%40work:p%3Aw%2F%C3%A9@db.example.org:3307/my%2Fjobs?tls=verify&b=&a%26=%3D+")
    #expect(
      found
        == DatabaseServer(
          user: "ada@work", password: "p:w/é", host: "db.example.org", port: 3307, name: "my/jobs",
          options: [.init("tls", "verify"), .init("b", ""), .init("a&", "=+")]))
    #expect(try server("mysql://h/n") == DatabaseServer(host: "h", name: "n"))
    #expect(try server("MariaDB://u@h/n?") == DatabaseServer(user: "u", host: "h", port: 3306, name: "n"))
    #expect(try server("mysql://u:@h/n").password == "")
    #expect(try server("mysql://u:a:b@c@h/n").password == "a:b@c")
    #expect(
      try server("mysql://[2001:db8::1]:9/n") == DatabaseServer(host: "2001:db8::1", port: 9, name: "n"))
    #expect(
      try server("mysql://u:p@[::1]/n") == DatabaseServer(user: "u", password: "p", host: "::1", name: "n"))
    #expect(try server("mysql://127.0.0.1:65535/n").port == 65535)
  }

  @Test(arguments: [
    "mysql://ada%40work:p%3Aw%2F%C3%A9%25%0A@db:3307/my%2Fjobs?tls=verify&b=&a%26=%3D+", "mysql://u:@[::1]/n",
    "mariadb://h/n",
    "mysql://u:***@h/n", "sqlite:a://b", "q.db",
  ])
  func theTextIsReadAsTheSame(text: String) throws {
    let url = try DatabaseURL(parsing: text)
    #expect(try DatabaseURL(parsing: url.text) == url)
  }

  @Test func theTextHasThePasswordAndNothingElseHas() throws {
    let url = try DatabaseURL(parsing: "mysql://ada:hunter22@db/jobs?tls=on")
    #expect(url.text == "mysql://ada:hunter22@db:3306/jobs?tls=on")
    #expect(url.description == "mysql://ada:***@db:3306/jobs?tls=on")
    var dumped = ""
    dump(url, to: &dumped)
    dump([url.place], to: &dumped)
    guard case .mysql(let server) = url.place else { throw QudoError(.invalidArgument, "no server") }
    for shown in [
      "\(url)", String(reflecting: url), "\(url.place)", "\(server)", String(reflecting: [server]), dumped,
    ] {
      #expect(!shown.contains("hunter22") && shown.contains("ada"))
    }
  }

  @Test(arguments: [
    "", "a\0b", "sqlite:", "sqlite://q.db", "postgres://u:secret@h/n", " mysql://u:secret@h/n",
    "x://\u{301}u:secret@h", "mysql:", "mysql:/u:secret@h/n",
    "mysql://", "mysql://u:secret@h", "mysql://u:secret@h/", "mysql://u:secret@/n", "mysql://:secret@h/n",
    "mysql://@h/n",
    "mysql://u:secret@h:/n", "mysql://u:secret@h:0/n", "mysql://u:secret@h:65536/n",
    "mysql://u:secret@h:+1/n", "mysql://u:secret@h:1a/n",
    "mysql://u:sec/ret@h/n", "mysql://u:secret#@h/n", "mysql://u:secret@h/n#f", "mysql://u:secret@h/n/m",
    "mysql://u:secret %@h/n",
    "mysql://u:secret%@h/n", "mysql://u:secret%4@h/n", "mysql://u:secret%FF@h/n", "mysql://u:secret%00@h/n",
    "mysql://u:secret%+1@h/n",
    "mysql://u:secret@::1/n", "mysql://u:secret@[::1/n", "mysql://u:secret@[::1]x/n",
    "mysql://u:secret@[::1]:/n", "mysql://u:secret@[1]/n",
    "mysql://u:secret@[::1%25eth0]/n", "mysql://u:secret@h ost/n", "mysql://u:secret@h%20/n",
    "mysql://u:secret@h\u{e9}/n", "mysql://u:secret@h/n?a",
    "mysql://u:secret@h/n?=a", "mysql://u:secret@h/n?a=1&", "mysql://u:secret@h/n?a=1&a=2",
    "mysql://u:secret@h/n?a=1&%61=2",
    "mysql://u@h/n?password=secret", "mysql://u@h/n?p%61ss=secret", "mysql://u:secret@h/n?secret",
    "mysql://u:secret@h/n?a=%zz",
  ])
  func whatIsWrongIsRefusedAndNotRepeated(text: String) {
    #expect {
      try DatabaseURL(parsing: text)
    } throws: {
      let error = $0 as? QudoError
      return error?.code == .invalidArgument
        && error.map { !"\($0)".contains("sec") && "\($0)".count < 160 } == true
    }
  }

  @Test func aLongHostIsRefused() throws {
    let host = String(repeating: "a", count: 255)
    #expect(try server("mysql://\(host)/n").host == host)
    #expect(throws: QudoError.self) { try DatabaseURL(parsing: "mysql://\(host)a/n") }
  }
}
