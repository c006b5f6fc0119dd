#if Dashboard
import Foundation
import Qudo
import QudoTesting
import Testing

@testable import QudoDashboard

/// Someone with a browser: keeps the cookie, and sends what browsers send.
final class Visitor {
  let site: Site
  private let base: String
  private(set) var cookie: String?
  var host: String? = "127.0.0.1:7347"
  var origin: String? = "http://127.0.0.1:7347"
  var fetchSite: String? = "same-origin"

  init(_ site: Site, base: String = "") { (self.site, self.base) = (site, base) }

  static let token = String(repeating: "t", count: 40)

  /// A site that asks for a token.
  static func locked(_ driver: any Driver, allowsChanges: Bool = false, clock: any QueueClock = SystemClock())
    -> Site
  {
    var options = DashboardOptions()
    options.allowsChanges = allowsChanges
    return Site(
      Databases(driver), options, access: .token(token, HostCheck(address: "127.0.0.1", isLoopback: true)),
      port: 7347,
      clock: clock)
  }

  /// A site that lets everybody in, as it is when it is mounted.
  static func open(_ databases: Databases, allowsChanges: Bool = true, clock: any QueueClock = SystemClock())
    -> Visitor
  {
    var options = DashboardOptions()
    options.allowsChanges = allowsChanges
    return Visitor(Site(databases, options, clock: clock))
  }

  @discardableResult
  func get(_ address: String) async -> Answer {
    let parts = address.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var request = request(String(parts[0]))
    request.query = Fields(encoded: parts.count > 1 ? parts[1] : "")
    return await send(request)
  }

  /// Opens a link of a page, with its path and query.
  func follow(_ link: String) async -> Answer {
    await get(String(link.replacingOccurrences(of: "&amp;", with: "&").dropFirst(base.count + 1)))
  }

  func post(_ form: KeyValuePairs<String, String>, page: String = "change") async -> Answer {
    var request = request(page)
    request.method = .post
    request.form = Fields(form)
    (request.origin, request.fetchSite) = (origin, fetchSite)
    return await send(request)
  }

  /// The hidden fields of the form on a page, which is then sent with others.
  func confirm(_ address: String, _ more: [(String, String)] = []) async throws -> Answer {
    let page = await get(address)
    #expect(page.status == 200, "\(page.text)")
    var request = request("change")
    request.method = .post
    let hidden = page.text.matches(of: /<input type="hidden" name="([^"]*)" value="([^"]*)">/).map {
      (String($0.1), Answer.unescaped(String($0.2)))
    }
    let encoded = (hidden + more).map { "\($0.0)=\(Link.encoded($0.1))" }.joined(separator: "&")
    request.form = Fields(encoded: encoded)
    (request.origin, request.fetchSite) = (origin, fetchSite)
    return await send(request)
  }

  private func request(_ page: String) -> SiteRequest {
    var request = SiteRequest(base: base, page: page)
    request.host = host
    if let cookie { request.cookies = ["other=1; \(cookie)"] }
    return request
  }

  private func send(_ request: SiteRequest) async -> Answer {
    let answer = Answer(await site.respond(request))
    if let set = answer.header("Set-Cookie") { cookie = String(set.prefix { $0 != ";" }) }
    return answer
  }
}

/// An answer, read.
struct Answer {
  let response: SiteResponse
  let text: String

  init(_ response: SiteResponse) {
    self.response = response
    text = if case .text(let text) = response.body { text } else { "" }
  }

  var status: Int { response.status }
  func header(_ name: String) -> String? { response.headers.first { $0.name == name }?.value }
  func contains(_ part: String) -> Bool { text.contains(part) }
  /// The links to pages of jobs or failures, in order.
  func links(_ page: String) -> [String] {
    text.matches(of: /href="(\/[a-z]+\?[^"]*)"/).map { String($0.1) }.filter { $0.hasPrefix("/\(page)?") }
  }
  static func unescaped(_ text: String) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")].reduce(text) {
      $0.replacingOccurrences(of: $1.0, with: $1.1)
    }
  }
}
#endif
