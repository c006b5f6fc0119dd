#if Dashboard
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Qudo
internal import ServiceLifecycle

/// The way of a request from Hummingbird to the site and back.
struct SiteResponder: Sendable {
  /// The size of a form, in bytes.
  private static let maxBody = 65_536
  /// How long a whole form may take, in microseconds.
  static let formTime: Int64 = 10_000_000
  /// The size of an address, in bytes.
  private static let maxAddress = 8_192
  /// The size of the parts in which an answer is sent, in bytes. A client that takes none of them for a time is dropped.
  private static let partBytes = 16_384

  let site: Site

  /// The paths below the dashboard's own.
  static let pages = [
    "jobs", "job", "failures", "failure", "schedules", "workers", "databases", "search", "confirm", "events",
    "style.css", "script.js",
  ]

  /// - Parameter base: The dashboard's path; nil for the part of the request's before the page.
  func respond(_ request: Request, page: String, base: String? = nil) async -> Response {
    guard request.uri.string.utf8.count <= Self.maxAddress else {
      return closing(await response(.text("The address is too long.\n", status: 414), request))
    }
    var asked = SiteRequest()
    asked.method = request.method == .post ? .post : .get
    asked.page = page
    asked.base = base ?? Self.base(request.uri.path, page: page)
    asked.query = Fields(encoded: request.uri.query ?? "")
    asked.host = request.head.authority
    asked.isOverTLS = Self.isOverTLS(request)
    asked.origin = request.headers[.origin]
    asked.fetchSite = HTTPField.Name("Sec-Fetch-Site").flatMap { request.headers[$0] }
    asked.cookies = request.headers[values: .cookie]
    if asked.method == .post {
      // Who may not change anything does not keep the connection busy with a form, either.
      if let refusal = await site.refusal(asked) { return closing(await response(refusal, request)) }
      switch await form(request) {
      case .whole(let text): asked.form = Fields(encoded: text)
      case .tooLong: return closing(await response(.text("The form is too long.\n", status: 413), request))
      case .tooSlow:
        return closing(await response(.text("The form did not arrive in time.\n", status: 408), request))
      case .broken:
        return closing(await response(.text("The form did not arrive whole.\n", status: 400), request))
      }
    }
    return await response(site.respond(asked), request)
  }

  /// Whether the browser used TLS. The header of a proxy decides, as it has the browser's connection; whoever writes it by hand only
  /// changes the own cookie.
  private static func isOverTLS(_ request: Request) -> Bool {
    let scheme = HTTPField.Name("X-Forwarded-Proto").flatMap { request.headers[$0] } ?? request.head.scheme
    return scheme?.prefix { $0 != "," }.lowercased() == "https"
  }

  private enum Form: Sendable {
    case whole(String)
    case tooLong, tooSlow, broken
  }

  /// Reads a form: all of it, or none.
  private func form(_ request: Request) async -> Form {
    let declared = request.headers[.contentLength].flatMap { Int($0) }
    if let declared, declared > Self.maxBody { return .tooLong }
    let (body, clock) = (request.body, site.clock)
    // The body must not be read any more when this returns: the server continues reading from there.
    return await withTaskGroup(of: Form.self) { tasks in
      tasks.addTask {
        do {
          let bytes = try await body.collect(upTo: Self.maxBody)
          // A stream that ends early is not told from one that is complete.
          guard !Task.isCancelled, declared == nil || declared == bytes.readableBytes else { return .broken }
          return .whole(String(buffer: bytes))
        } catch is NIOTooManyBytesError {
          return .tooLong
        } catch {
          return .broken
        }
      }
      tasks.addTask {
        // It throws only if the form has come, or the request is cancelled: then nobody uses this answer.
        try? await clock.sleep(untilSinceBoot: clock.sinceBoot().clampedPlus(Self.formTime))
        return .tooSlow
      }
      let first = await tasks.next() ?? .broken
      tasks.cancelAll()
      return first
    }
  }

  /// The same answer, and the connection ends with it: what is left of the request is not waited for.
  private func closing(_ response: Response) -> Response {
    // HTTP/2 has no such header, and an application's server may speak it.
    guard site.hasOwnServer else { return response }
    var response = response
    response.headers[.connection] = "close"
    return response
  }

  /// The part of the path before the page's name. It has no character that would end an attribute or a header.
  static func base(_ path: String, page: String) -> String {
    var base = path[...]
    while base.last == "/" { base = base.dropLast() }
    if !page.isEmpty, base.hasSuffix(page) { base = base.dropLast(page.count) }
    while base.last == "/" { base = base.dropLast() }
    while base.hasPrefix("//") { base = base.dropFirst() }
    let isPlain = base.utf8.allSatisfy { byte in
      (0x21...0x7E).contains(byte) && !"\"'<>\\;,".utf8.contains(byte)
    }
    return isPlain && (base.isEmpty || base.hasPrefix("/")) ? String(base) : ""
  }

  private func response(_ answer: SiteResponse, _ request: Request) async -> Response {
    var headers = HTTPFields()
    for (name, value) in answer.headers {
      guard let name = HTTPField.Name(name) else { continue }
      headers.append(HTTPField(name: name, value: value))
    }
    let status = HTTPResponse.Status(code: answer.status)
    switch answer.body {
    case .text(let text):
      let parts = Self.parts(text)
      return Response(
        status: status, headers: headers,
        body: parts.count > 1
          ? ResponseBody(contentsOf: parts) : ResponseBody(byteBuffer: ByteBuffer(string: text)))
    case .events(let viewer, let page, let base):
      let site = site
      return Response(
        status: status, headers: headers,
        body: ResponseBody { writer in
          // Otherwise the server would wait for the viewers when it shuts down.
          for await view in viewer.views.cancelOnGracefulShutdown() {
            try await writer.write(contentsOf: Self.parts(site.event(view, page, base: base)))
          }
          // One that was slow asks again, and one whose dashboard has ended need not.
          if viewer.wasDropped { throw ViewerDropped() }
          try await writer.write(ByteBuffer(string: Site.lastEvent))
          try await writer.finish(nil)
        })
    }
  }

  private struct ViewerDropped: Error {}

  static func parts(_ text: String) -> [ByteBuffer] {
    var rest = ByteBuffer(string: text)
    var parts: [ByteBuffer] = []
    while let part = rest.readSlice(length: min(rest.readableBytes, partBytes)), part.readableBytes > 0 {
      parts.append(part)
    }
    return parts
  }
}
#endif
