#if Dashboard
public import Hummingbird
public import Qudo

/// A web dashboard of a queue, to mount into the router of a Hummingbird application.
///
///     let dashboard = Dashboard(queue)
///     dashboard.addRoutes(to: router.group("queue").add(middleware: AdminsOnly()))
///
/// The dashboard asks nobody for a name: whoever reaches its routes sees the jobs with their payloads. Put your own authentication before
/// them, as above.
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

/// What a dashboard shows and allows.
public struct DashboardOptions: Sendable {
  /// Whether users can replay, cancel and run jobs, and pause kinds and schedules. Default: no.
  ///
  /// A change is made only by a form of the dashboard itself: it refuses requests that another site's page makes the browser send.
  public var allowsChanges = false
  /// The name at the top of each page. Default: Qudo.
  public var title = "Qudo"
  /// The shortest time from one sample of the databases to the next, at least 100 ms. Default: 2 s.
  ///
  /// A sample is followed by a pause of at least 50 times as long as it took, so sampling takes at most 2 % of one core. Without viewers
  /// there are no samples.
  public var interval = Duration.seconds(2)
  /// The maximum number of pages that get live updates at a time, at least 1. Others show the figures of when they were loaded.
  /// Default: 32.
  public var maxViewers = 32
  /// Origins whose forms are accepted beside that of the request's own host: for a proxy that changes the header `Host`.
  /// Default: none. For example, `https://admin.example.org`.
  public var trustedOrigins: Set<String> = []

  /// Creates options with the defaults.
  public init() {}
}
#endif
