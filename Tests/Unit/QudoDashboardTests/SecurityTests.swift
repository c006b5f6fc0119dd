#if Dashboard
import Qudo
import QudoTesting
import Testing

@testable import QudoDashboard

/// Who gets in, and what is refused.
@Suite struct SecurityTests {
  let driver = MemoryDriver(name: "jobs")

  private func visitor(allowsChanges: Bool = true) -> Visitor {
    Visitor(Visitor.locked(driver, allowsChanges: allowsChanges))
  }

  private func entered(allowsChanges: Bool = true) async -> Visitor {
    let visitor = visitor(allowsChanges: allowsChanges)
    await visitor.get("?token=\(Visitor.token)")
    return visitor
  }

  @Test(
    "without a session every page is locked, and tells nothing of the queue",
    arguments: [
      "", "jobs", "job?id=1", "failures", "schedules", "workers", "databases", "search?q=1",
      "confirm?change=pause", "events", "nope",
    ])
  func locked(page: String) async throws {
    _ = try await driver.insert([NewJob("secret.kind", payload: Payload("secret"))])
    let answer = await visitor().get(page)
    #expect(answer.status == 401 && answer.contains("qudo serve") && !answer.contains("secret"))
    #expect(answer.header("Set-Cookie") == nil)
    #expect(await visitor().post(["change": "pause"]).status == 401)
  }

  @Test("the token gives a session, and leaves the address") func token() async {
    let visitor = visitor()
    let answer = await visitor.get("jobs?token=\(Visitor.token)")
    #expect(answer.status == 303 && answer.header("Location") == "/jobs")
    let cookie = answer.header("Set-Cookie") ?? ""
    #expect(cookie.hasPrefix("qudo-7347=") && cookie.hasSuffix("; Path=/; HttpOnly; SameSite=Strict"))
    #expect(await visitor.get("").status == 200)
    #expect(await visitor.get("?token=\(Visitor.token)").status == 303)
  }

  @Test("a wrong token, and a cookie of another server, give nothing") func wrong() async {
    for token in ["", "x", Visitor.token + "t", String(Visitor.token.dropLast())] {
      #expect(await visitor().get("?token=\(token)").status == 401)
    }
    let other = await entered()
    var request = SiteRequest()
    request.host = "127.0.0.1"
    for cookie in [
      other.cookie ?? "", "qudo-7347=", "qudo-7347=a.b", "qudo-7347=\(String(repeating: "a", count: 129))",
    ] {
      request.cookies = [cookie]
      #expect(await visitor().site.respond(request).status == 401)
    }
  }

  @Test(
    "the host must be the server itself, whatever the port of a tunnel",
    arguments: [
      ("127.0.0.1", true), ("127.0.0.1:7347", true), ("localhost:9000", true), ("[::1]:7347", true),
      ("LOCALHOST", true),
      ("evil.example", false), ("127.0.0.1.evil.example", false), ("10.0.0.1", false), ("", false),
      ("127.0.0.1:", false),
      ("127.0.0.1:80:80", false), ("[::1", false), ("[::1]x", false), ("localhost.", false),
    ]) func host(host: String, isAccepted: Bool) async
  {
    let visitor = await entered()
    visitor.host = host
    #expect(await visitor.get("").status == (isAccepted ? 200 : 421))
    visitor.host = nil
    #expect(await visitor.get("").status == 421)
  }

  @Test("a server for other machines takes addresses and the names that it was given") func remoteHosts() {
    let check = HostCheck(address: "0.0.0.0", isLoopback: false, names: ["Queue.example.org"])
    for host in ["10.1.2.3:80", "queue.example.org", "[fe80::1]:7347", "localhost"] {
      #expect(check.accepts(host))
    }
    for host in ["evil.example", "10.1.2", "1.2.3.4.5", "256.1.1.1"] { #expect(!check.accepts(host)) }
  }

  @Test(
    "a mounted dashboard that has names is found by no other",
    arguments: [
      ("admin.example.org", true), ("Admin.Example.org:8443", true), ("10.0.0.7:80", true),
      ("[fe80::1]", true),
      ("evil.example", false), ("localhost", false), ("127.0.0.1", false), ("10.0.0.8", false), ("", false),
    ]) func mountedHosts(host: String, isAccepted: Bool) async throws
  {
    var options = DashboardOptions()
    options.allowsChanges = true
    let anywhere = Visitor(Site(Databases(driver), options))
    anywhere.host = host
    #expect(await anywhere.get("").status == 200)
    options.hosts = ["admin.example.org", "10.0.0.7", "fe80::1"]
    let visitor = Visitor(Site(Databases(driver), options))
    visitor.host = host
    for page in ["", "jobs", "style.css"] {
      #expect(await visitor.get(page).status == (isAccepted ? 200 : 421), "\(page)")
    }
    #expect(await visitor.post(["change": "pause"]).status == (isAccepted ? 403 : 421))
    visitor.host = nil
    #expect(await visitor.get("").status == 421)
  }

  @Test("the cookie is sent over TLS only, if that is known or wanted") func secureCookies() async {
    func isSecure(
      _ security: DashboardOptions.CookieSecurity = .automatic, origins: Set<String> = [],
      overTLS: Bool = false
    ) async -> Bool {
      var options = DashboardOptions()
      (options.cookieSecurity, options.trustedOrigins) = (security, origins)
      var request = SiteRequest()
      request.isOverTLS = overTLS
      let cookie = Answer(await Site(Databases(driver), options).respond(request)).header("Set-Cookie") ?? ""
      #expect(cookie.contains("; HttpOnly; SameSite=Strict"))
      return cookie.hasSuffix("; Secure")
    }
    #expect(DashboardOptions().cookieSecurity == .automatic)
    #expect(await !isSecure())
    #expect(await isSecure(overTLS: true))
    #expect(await isSecure(origins: ["https://a.example", "HTTPS://b.example"]))
    #expect(await !isSecure(origins: ["https://a.example", "http://b.example"]))
    #expect(await isSecure(.always))
    #expect(await !isSecure(.never, origins: ["https://a.example"], overTLS: true))
  }

  @Test("every answer has the headers that keep other sites out") func headers() async {
    let visitor = await entered()
    for page in ["", "jobs", "nope", "style.css", "script.js"] {
      let answer = await visitor.get(page)
      #expect(
        answer.header("Content-Security-Policy")
          == "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
      )
      #expect(
        answer.header("X-Content-Type-Options") == "nosniff"
          && answer.header("Referrer-Policy") == "no-referrer")
      #expect(
        answer.header("Cache-Control")
          == (page.hasSuffix("s") && page.contains(".") ? "private, max-age=86400" : "no-store"))
    }
  }

  @Test("a page with a form lets the browser name its origin, and tells other sites nothing")
  func formHeaders() async {
    let answer = await entered().get("confirm?change=pause")
    #expect(answer.header("Referrer-Policy") == "same-origin")
    #expect(answer.response.headers.count { $0.name == "Referrer-Policy" } == 1)
  }

  @Test("pages have no script and no style of their own, which the policy would refuse") func inline()
    async throws
  {
    _ = try await driver.insert([NewJob("a", payload: Payload("x"), due: .after(.seconds(60)))])
    let visitor = await entered()
    for page in [
      "", "jobs", "job?id=1", "failures", "schedules", "workers", "databases", "confirm?change=pause",
    ] {
      let text = await visitor.get(page).text
      #expect(
        text.matches(of: /<script/).count == 1 && !text.contains(" style=") && !text.contains("<style"),
        "\(page)")
      #expect(text.firstMatch(of: /\son[a-z]+=/) == nil, "\(page)")
    }
  }

  @Test("a change needs the form of this session") func forms() async throws {
    let visitor = await entered()
    #expect(await visitor.post(["change": "pause"]).status == 403)
    #expect(await visitor.post(["change": "pause", "csrf": "x"]).status == 403)
    let other = await entered()
    let page = await other.get("confirm?change=pause")
    let token = try #require(page.text.firstMatch(of: /name="csrf" value="([0-9a-f]{64})"/)).1
    #expect(await visitor.post(["change": "pause", "csrf": String(token)]).status == 403)
    #expect(try await driver.pauses().isEmpty)
    #expect(await other.post(["change": "pause", "csrf": String(token)]).status == 303)
    #expect(try await driver.pauses().count == 1)
  }

  @Test(
    "a change needs a page of the server itself",
    arguments: [
      ("http://evil.example", nil), ("http://127.0.0.1:9000", nil), ("null", nil), (nil, nil),
      ("http://127.0.0.1:7347", "cross-site"),
      ("null", "cross-site"), ("http://127.0.0.1:7347", "same-site"), (nil, "none"),
      ("http://evil.example", "same-origin"),
    ] as [(String?, String?)]) func origins(origin: String?, site: String?) async throws
  {
    let visitor = await entered()
    (visitor.origin, visitor.fetchSite) = (origin, site)
    let answer = try await visitor.confirm("confirm?change=pause")
    #expect(answer.status == 403 && answer.contains("Nothing was changed"))
    #expect(try await driver.pauses().isEmpty)
  }

  @Test(
    "a form of the server's own page is taken, with what old and new browsers send",
    arguments: [
      ("null", "same-origin"), ("http://127.0.0.1:7347", nil), ("http://127.0.0.1:7347", "same-origin"),
      (nil, "same-origin"),
    ] as [(String?, String?)]) func ownForms(origin: String?, site: String?) async throws
  {
    let visitor = await entered()
    (visitor.origin, visitor.fetchSite) = (origin, site)
    #expect(try await visitor.confirm("confirm?change=pause").status == 303)
    #expect(try await driver.pauses().count == 1)
  }

  @Test("without leave no change is made, and no button offers one") func readOnly() async throws {
    _ = try await driver.insert([NewJob("a", payload: Payload("x"), due: .after(.seconds(60)))])
    let visitor = await entered(allowsChanges: false)
    for page in ["", "job?id=1", "schedules"] { #expect(!(await visitor.get(page)).contains("confirm?")) }
    #expect(await visitor.get("confirm?change=pause").status == 404)
    #expect(await visitor.post(["change": "pause"]).status == 403)
    #expect(try await driver.pauses().isEmpty)
  }

  @Test("a mounted dashboard begins a session by itself, and its forms need it all the same") func mounted()
    async throws
  {
    let visitor = Visitor.open(Databases(driver))
    #expect(await visitor.get("").header("Set-Cookie")?.hasPrefix("qudo-dashboard=") == true)
    #expect(await visitor.get("").header("Set-Cookie") == nil)
    #expect(try await visitor.confirm("confirm?change=pause").status == 303)
    #expect(await visitor.post(["change": "resume"]).status == 403)
  }

  @Test("codes are HMAC-SHA-256, and secrets are 256 bits and differ") func codes() {
    // RFC 4231, test case 2.
    let code = Secret.authentication(of: Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
    #expect(Secret.hexadecimal(code) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(Secret.randomText().count == 64 && Secret.randomText() != Secret.randomText())
    #expect(Secret.equal("a", "a") && !Secret.equal("a", "b") && !Secret.equal("", "a"))
  }
}
#endif
