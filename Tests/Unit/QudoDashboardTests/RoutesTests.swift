#if Dashboard
import Hummingbird
import HummingbirdCore
import Foundation
import HTTPTypes
import Logging
import NIOCore
import NIOEmbedded
import Qudo
import QudoTesting
import Testing

@testable import QudoDashboard

/// The dashboard in an application's router.
@Suite struct RoutesTests {
  let driver = MemoryDriver(name: "jobs")

  /// Lets in who says the word.
  struct AdminsOnly<Context: RequestContext>: RouterMiddleware {
    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response)
      async throws -> Response
    {
      guard request.headers[.authorization] == "word" else { throw HTTPError(.unauthorized) }
      return try await next(request, context)
    }
  }

  private func mounted() -> some HTTPResponder<BasicRequestContext> {
    let router = Router()
    var options = DashboardOptions()
    options.allowsChanges = true
    Dashboard(Queue(driver), options: options).addRoutes(
      to: router.group("queue").add(middleware: AdminsOnly()))
    return router.buildResponder()
  }

  private func request(
    _ path: String, _ method: HTTPRequest.Method = .get, body: String = "",
    headers: HTTPFields = [.authorization: "word"]
  )
    -> Request
  {
    Request(
      head: HTTPRequest(
        method: method, scheme: "http", authority: "app.example", path: path, headerFields: headers),
      body: RequestBody(buffer: ByteBuffer(string: body)))
  }

  private func send(_ responder: some HTTPResponder<BasicRequestContext>, _ request: Request) async throws
    -> (status: Int, headers: HTTPFields, text: String)
  {
    let context = BasicRequestContext(
      source: ApplicationRequestContextSource(channel: EmbeddedChannel(), logger: Logger(label: "test")))
    let response: Response
    do { response = try await responder.respond(to: request, context: context) } catch let error as HTTPError
    {
      return (error.status.code, [:], "")
    }
    let text = Locked("")
    try await response.body.write(Collector(text: text))
    return (response.status.code, response.headers, text.withLock { $0 })
  }

  private struct Collector: ResponseBodyWriter {
    let text: Locked<String>
    mutating func write(_ buffer: ByteBuffer) async throws { text.withLock { $0 += String(buffer: buffer) } }
    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
  }

  @Test("it is behind the application's own middleware, under its path") func mount() async throws {
    let responder = mounted()
    #expect(try await send(responder, request("/queue", headers: [:])).status == 401)
    for path in ["/queue", "/queue/"] {
      let page = try await send(responder, request(path))
      #expect(
        page.status == 200 && page.text.contains("href=\"/queue/jobs\"")
          && page.text.contains("href=\"/queue/style.css?v="))
      #expect(page.headers[.setCookie]?.contains("Path=/queue;") == true)
    }
    for page in SiteResponder.pages
    where page != "events" && page != "confirm" && page != "job" && page != "failure" {
      let answer = try await send(responder, request("/queue/\(page)"))
      #expect(answer.status == (page == "search" ? 303 : 200), "\(page)")
      #expect(answer.headers[.contentSecurityPolicy]?.hasPrefix("default-src 'none'") == true)
    }
    #expect(try await send(responder, request("/queue/nope")).status == 404)
  }

  /// Sends a form to a dashboard with a clock of its own.
  private func post(_ body: RequestBody, length: Int? = nil, to site: Site) async -> Response {
    var headers: HTTPFields = [:]
    headers[.contentLength] = length.map { "\($0)" }
    let head = HTTPRequest(
      method: .post, scheme: "http", authority: "app.example", path: "/change", headerFields: headers)
    return await SiteResponder(site: site).respond(Request(head: head, body: body), page: "change")
  }

  private func site(_ clock: ManualClock) -> Site {
    var options = DashboardOptions()
    options.allowsChanges = true
    return Site(Databases(driver), options, clock: clock)
  }

  @Test("a form gets ten seconds to arrive whole, however much of it has come") func slowForm() async throws {
    let clock = ManualClock()
    let site = site(clock)
    let (body, source) = RequestBody.makeStream()
    async let answer = post(body, to: site)
    for _ in 0..<9 {
      await source.yield(ByteBuffer(string: "change=pause&"))
      await clock.sleepers(atLeast: 1)
      clock.advance(by: .seconds(1))
    }
    #expect(clock.sleeperCount == 1, "not yet")
    clock.advance(by: .seconds(1))
    #expect(await answer.status == .requestTimeout)
    source.finish()
    #expect(try await driver.pauses().isEmpty)
  }

  @Test("a form that is cut off is not taken for a shorter one, and one that declares too much is not read")
  func brokenForms() async throws {
    let site = site(ManualClock())
    let part = RequestBody(buffer: ByteBuffer(string: "change=pause"))
    #expect(await post(part, length: 100, to: site).status == .badRequest)
    let (broken, source) = RequestBody.makeStream()
    source.finish(ChannelError.inputClosed)
    #expect(await post(broken, to: site).status == .badRequest)
    let (endless, endlessSource) = RequestBody.makeStream()
    #expect(await post(endless, length: 70_000, to: site).status == .contentTooLarge, "nothing of it came")
    endlessSource.finish()
    #expect(await post(part, length: 12, to: site).status == .forbidden, "it is read, and has no token")
    #expect(await post(part, length: 12, to: site).headers[.connection] == nil, "it may be HTTP/2")
  }

  @Test("the server of the command ends the connection of a form that it did not read") func ownServer() async
  {
    let site = Visitor.locked(driver, allowsChanges: true)
    let visitor = Visitor(site)
    await visitor.get("?token=\(Visitor.token)")
    var headers: HTTPFields = [.cookie: visitor.cookie ?? "", .contentLength: "70000"]
    func status(_ headers: HTTPFields) async -> String {
      let head = HTTPRequest(
        method: .post, scheme: "http", authority: "127.0.0.1", path: "/change", headerFields: headers)
      let body = RequestBody(buffer: ByteBuffer(string: "change=pause"))
      let answer = await SiteResponder(site: site).respond(Request(head: head, body: body), page: "change")
      return "\(answer.status.code) \(answer.headers[.connection] ?? "-")"
    }
    #expect(await status(headers) == "413 close")
    headers[.contentLength] = "12"
    #expect(await status(headers) == "403 -")
    headers[.cookie] = nil
    #expect(await status(headers) == "401 close")
  }

  @Test("long answers are sent in parts, and nothing of them is lost") func parts() {
    let text = String(repeating: "<td>é</td>", count: 5000)
    let parts = SiteResponder.parts(text)
    #expect(parts.count == 4 && parts.allSatisfy { (1...16_384).contains($0.readableBytes) })
    #expect(parts.flatMap { Array($0.readableBytesView) } == Array(text.utf8))
    #expect(SiteResponder.parts("").isEmpty)
  }

  @Test("the cookie is for TLS if the request came over it") func secureCookie() async throws {
    let responder = mounted()
    var headers: HTTPFields = [.authorization: "word"]
    #expect(
      try await send(responder, request("/queue", headers: headers)).headers[.setCookie]?.hasSuffix("Strict")
        == true)
    for value in ["https", "HTTPS, http"] {
      headers[try #require(HTTPField.Name("X-Forwarded-Proto"))] = value
      #expect(
        try await send(responder, request("/queue", headers: headers)).headers[.setCookie]?.hasSuffix(
          "; SameSite=Strict; Secure") == true)
    }
  }

  @Test("a form changes the queue, and one that is too long does not") func forms() async throws {
    let responder = mounted()
    let page = try await send(responder, request("/queue/confirm?change=pause&name=a%20b"))
    let token = try #require(page.text.firstMatch(of: /name="csrf" value="([0-9a-f]+)"/)).1
    var headers: HTTPFields = [.authorization: "word", .origin: "https://app.example"]
    headers[.cookie] = page.headers[.setCookie].map { String($0.prefix { $0 != ";" }) }
    let form = "change=pause&name=a%20b&csrf=\(token)"
    let long = form + "&reason=" + String(repeating: "x", count: 70_000)
    #expect(
      try await send(responder, request("/queue/change", .post, body: long, headers: headers)).status == 413)
    #expect(try await driver.pauses().isEmpty)
    let done = try await send(responder, request("/queue/change", .post, body: form, headers: headers))
    #expect(done.status == 303 && done.headers[.location]?.hasPrefix("/queue?flash=") == true)
    #expect(try await driver.pauses().map(\.kind) == ["a b"])
    let address = "/queue/jobs?kind=" + String(repeating: "x", count: 9000)
    #expect(try await send(responder, request(address)).status == 414)
  }

  @Test(
    "the path before the page is the dashboard's, and cannot become another host",
    arguments: [
      ("/", "", ""), ("/queue", "", "/queue"), ("/queue/", "", "/queue"), ("/queue/jobs", "jobs", "/queue"),
      ("/jobs", "jobs", ""),
      ("//evil.example", "", "/evil.example"), ("//evil.example/jobs", "jobs", "/evil.example"),
      ("/a\"b/jobs", "jobs", ""),
      ("/a\\b/jobs", "jobs", ""), ("/a;b", "", ""), ("/é/jobs", "jobs", ""),
    ]) func base(path: String, page: String, base: String)
  {
    #expect(SiteResponder.base(path, page: page) == base)
  }

  @Test("the stream sends the parts of the page, and says when it ends") func events() async throws {
    _ = try await driver.insert([NewJob("mail.send", payload: Payload("x"))])
    let site = Site(Databases(driver), DashboardOptions())
    let router = Router()
    Dashboard(site).addRoutes(to: router)
    let responder = router.buildResponder()
    let context = BasicRequestContext(
      source: ApplicationRequestContextSource(channel: EmbeddedChannel(), logger: Logger(label: "test")))
    let response = try await responder.respond(to: request("/events?page=overview"), context: context)
    #expect(response.headers[.contentType] == "text/event-stream; charset=utf-8")
    let text = Locked("")
    /// Ends the site after the first event.
    struct Ending: ResponseBodyWriter {
      let text: Locked<String>
      let site: Site
      mutating func write(_ buffer: ByteBuffer) async throws {
        text.withLock { $0 += String(buffer: buffer) }
        await site.end()
      }
      consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
    }
    try await response.body.write(Ending(text: text, site: site))
    let events = text.withLock { $0 }.components(separatedBy: "\n\n")
    #expect(
      events.count == 3 && events[0].hasPrefix("event: update\ndata: <div id=\"live-notes\">")
        && events[0].contains("mail.send"))
    #expect(events[1] == "event: end\ndata: end" && events[2].isEmpty)
  }
}
#endif
