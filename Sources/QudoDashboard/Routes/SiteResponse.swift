#if Dashboard
/// An answer, apart from how it is sent.
struct SiteResponse: Sendable {
  enum Body: Sendable {
    case text(String)
    /// Server-sent events, one after the other; the stream ends when nothing more comes.
    case events(LiveViewer, LivePage, base: String)
  }

  var status = 200
  var headers: [(name: String, value: String)]
  var body: Body

  /// The security headers of each answer: no other site may show it in a frame or read it, and a page runs and loads only the dashboard's own
  /// files.
  static let security: [(name: String, value: String)] = [
    (
      "Content-Security-Policy",
      "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Resource-Policy", "same-origin"),
  ]
  private static let notKept: [(name: String, value: String)] = [("Cache-Control", "no-store")]

  static func page(_ html: HTML, status: Int = 200) -> SiteResponse {
    SiteResponse(
      status: status, headers: security + notKept + [("Content-Type", "text/html; charset=utf-8")],
      body: .text(html.markup))
  }

  static func text(_ text: String, status: Int) -> SiteResponse {
    SiteResponse(
      status: status, headers: security + notKept + [("Content-Type", "text/plain; charset=utf-8")],
      body: .text(text))
  }

  static func redirect(_ link: Link) -> SiteResponse {
    SiteResponse(status: 303, headers: security + notKept + [("Location", link.text)], body: .text(""))
  }

  /// A file of the dashboard, which has nothing of the queue. Its address changes with the release.
  static func file(_ text: String, type: String) -> SiteResponse {
    SiteResponse(
      headers: security + [("Content-Type", type), ("Cache-Control", "private, max-age=86400")],
      body: .text(text))
  }

  static func events(_ viewer: LiveViewer, _ page: LivePage, base: String) -> SiteResponse {
    SiteResponse(
      headers: security + notKept + [
        ("Content-Type", "text/event-stream; charset=utf-8"), ("X-Accel-Buffering", "no"),
      ],
      body: .events(viewer, page, base: base))
  }

  /// The same, and its form says which server it is of. Browsers send `Sec-Fetch-Site` to loopback addresses and over TLS
  /// only, and `Origin: null` from a page with `no-referrer`. Other sites still learn nothing.
  var withOrigin: SiteResponse {
    var response = self
    response.headers.removeAll { $0.name == "Referrer-Policy" }
    response.headers.append(("Referrer-Policy", "same-origin"))
    return response
  }

  func setting(cookie: String) -> SiteResponse {
    var response = self
    response.headers.append(("Set-Cookie", cookie))
    return response
  }
}
#endif
