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
