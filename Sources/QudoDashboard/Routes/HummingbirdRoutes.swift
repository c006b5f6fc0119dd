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
  /// The size of an address, in bytes.
  private static let maxAddress = 8_192

  let site: Site

  /// The paths below the dashboard's own.
  static let pages = [
    "jobs", "job", "failures", "failure", "schedules", "workers", "databases", "search", "confirm", "events",
    "style.css", "script.js",
  ]

  /// - Parameter base: The dashboard's path; nil for the part of the request's before the page.
  func respond(_ request: Request, page: String, base: String? = nil) async -> Response {
    guard request.uri.string.utf8.count <= Self.maxAddress else {
      return await response(.text("The address is too long.\n", status: 414), request)
    }
    var asked = SiteRequest()
    asked.method = request.method == .post ? .post : .get
    asked.page = page
    asked.base = base ?? Self.base(request.uri.path, page: page)
    asked.query = Fields(encoded: request.uri.query ?? "")
    asked.host = request.head.authority
    asked.origin = request.headers[.origin]
    asked.fetchSite = HTTPField.Name("Sec-Fetch-Site").flatMap { request.headers[$0] }
    asked.cookies = request.headers[values: .cookie]
    if asked.method == .post {
      // Who may not change anything does not keep the connection busy with a form, either.
      if let refusal = await site.refusal(asked) { return await response(refusal, request) }
      guard let body = try? await request.body.collect(upTo: Self.maxBody) else {
        return await response(.text("The form is too long.\n", status: 413), request)
      }
      asked.form = Fields(encoded: String(buffer: body))
    }
    return await response(site.respond(asked), request)
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
      return Response(
        status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    case .events(let stream, let page, let base):
      let site = site
      return Response(
        status: status, headers: headers,
        body: ResponseBody { writer in
          // Otherwise the server would wait for the viewers when it shuts down.
          for await view in stream.cancelOnGracefulShutdown() {
            try await writer.write(ByteBuffer(string: site.event(view, page, base: base)))
          }
          try await writer.write(ByteBuffer(string: Site.lastEvent))
          try await writer.finish(nil)
        })
    }
  }
}
#endif
