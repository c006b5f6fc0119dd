#if Dashboard
public import Hummingbird
public import Qudo

/// A web dashboard of a queue, to mount into the router of a Hummingbird application.
///
///     let dashboard = Dashboard(queue)
///     dashboard.addRoutes(to: router.group("queue").add(middleware: AdminsOnly()))
///
/// The dashboard authenticates nobody: whoever reaches its routes sees the jobs with their payloads. Put your own
/// authentication in front of them, as above.
///
/// It shows what is in the databases, and samples them while a page is open, for all viewers together. Close the queue after the server has
/// ended.
public struct Dashboard: Sendable {
  private let site: Site

  /// Creates a dashboard of a queue's databases.
  ///
  /// - Parameters:
  ///   - queue: The queue. The dashboard shows payloads as they are stored: it decodes nothing.
  ///   - options: What the dashboard shows and allows. Default: it only shows.
  public init(_ queue: Queue<some HookSet>, options: DashboardOptions = DashboardOptions()) {
    self.init(queue.databases, options: options)
  }

  /// Creates a dashboard of databases.
  ///
  /// - Parameters:
  ///   - databases: The databases.
  ///   - options: What the dashboard shows and allows. Default: it only shows.
  public init(_ databases: Databases, options: DashboardOptions = DashboardOptions()) {
    site = Site(databases, options)
  }

  init(_ site: Site) { self.site = site }

  /// Adds the dashboard's pages to a router or a group of one.
  ///
  /// The overview has the path of the group itself; the other pages are below it. If a proxy shortens the path before the request gets
  /// here, let the group have the path that browsers use.
  ///
  /// - Parameter router: The router, or a group with a path and your middleware.
  public func addRoutes<Context: RequestContext>(to router: some RouterMethods<Context>) {
    let responder = SiteResponder(site: site)
    router.get("") { request, _ in await responder.respond(request, page: "") }
    for page in SiteResponder.pages {
      router.get(RouterPath(page)) { request, _ in await responder.respond(request, page: page) }
    }
    router.post("change") { request, _ in await responder.respond(request, page: "change") }
  }
}

/// The options of a dashboard: what it shows and allows.
public struct DashboardOptions: Sendable {
  /// Whether users can replay, cancel and run jobs, and pause kinds and schedules. Default: no.
  ///
  /// A change is made only by a form of the dashboard itself: it refuses requests that another site's page makes the browser send.
  public var allowsChanges = false
  /// The name at the top of each page. Default: Qudo.
  public var title = "Qudo"
  /// The shortest time from one sample of the databases to the next, at least 100 ms. Default: 2 s.
  ///
  /// A sample is followed by a pause of at least 50 times what it cost, of all databases together, so sampling takes at most 2 % of one
  /// core. Without viewers there are no samples.
  public var interval = Duration.seconds(2)
  /// The maximum number of pages that get live updates at a time, at least 1. Others show the figures of when they were loaded. A page
  /// that takes no update for 10 s makes room for another. Default: 32.
  public var maxViewers = 32
  /// Origins whose forms are accepted in addition to that of the request's own host: for a proxy that changes the header
  /// `Host`. Default: none. For example, `https://admin.example.org`.
  public var trustedOrigins: Set<String> = []
  /// The names by which browsers may call the dashboard, as in the header `Host`, without a port; nil for any. Default: nil, because the
  /// dashboard cannot know its names.
  ///
  /// Set it if a network is all that keeps others out. Otherwise a page of another site can let its own name lead to the application (DNS
  /// rebinding), and the browser then takes the dashboard for a part of that site. A request with another name gets the status 421.
  /// For example, `["admin.example.org", "10.0.0.7"]`.
  public var hosts: Set<String>?
  /// Whether browsers send the cookie of the session over TLS only. Default: ``CookieSecurity/automatic``.
  public var cookieSecurity = CookieSecurity.automatic

  /// When the cookie of a session has the attribute `Secure`.
  public enum CookieSecurity: Sendable {
    /// It has the attribute if the request came over TLS: its scheme is `https`, or the header `X-Forwarded-Proto` of a proxy says so. It
    /// also has the attribute if ``DashboardOptions/trustedOrigins`` has origins, and all are of `https`.
    case automatic
    /// It always has the attribute. Over plain HTTP, browsers then keep no session, and forms are refused.
    case always
    /// It never has the attribute: for a dashboard that is reached over TLS and without it.
    case never
  }

  /// Creates options with the defaults.
  public init() {}
}
#endif
