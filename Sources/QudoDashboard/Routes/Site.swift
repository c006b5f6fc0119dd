#if Dashboard
internal import Qudo
internal import QudoMonitor
internal import QudoSchedules

/// The dashboard apart from the server: it answers requests.
final class Site: Sendable {
  /// The users who may see the site.
  enum Access: Sendable {
    /// Whoever gets here: the application has authenticated them before.
    case open
    /// Those who know the token, under one of the server's names.
    case token(String, HostCheck)
  }

  let databases: Databases
  let options: DashboardOptions
  let feed: LiveFeed
  let flashes = Flashes()
  private let access: Access
  /// The names by which browsers may call the site; nil for any.
  private let hosts: HostCheck?
  private let sessions: Sessions
  let clock: any QueueClock

  init(
    _ databases: Databases, _ options: DashboardOptions, access: Access = .open, port: Int? = nil,
    clock: any QueueClock = SystemClock()
  ) {
    self.databases = databases
    self.options = options
    self.access = access
    hosts =
      if case .token(_, let hosts) = access { hosts } else { options.hosts.map { HostCheck(names: $0) } }
    self.clock = clock
    sessions = Sessions(port: port)
    let names = databases.names
    let sampler = QueueSampler(
      names.indices.map { index in
        QueueSampler.Source(names[index]) { () async throws(QudoError) in
          guard let driver = try await databases.driver(at: index) as? any ObservedDriver else {
            throw QudoError(.database, "the driver does not tell its figures: use one that does")
          }
          return driver
        }
      }, clock: clock)
    feed = LiveFeed(
      sampler, interval: max(options.interval, .milliseconds(100)), maxViewers: max(options.maxViewers, 1),
      clock: clock)
  }

  /// Whether the server has nothing but the dashboard.
  var hasOwnServer: Bool { if case .token = access { true } else { false } }

  func respond(_ request: SiteRequest) async -> SiteResponse {
    let locked = shell(request, session: "", nil)
    if let hosts, !hosts.accepts(request.host) {
      let hint: HTML =
        hasOwnServer
        ? "<p>The address is not one of this server's. Open the one that it printed.</p>"
        : "<p>The address is not one of the dashboard's. Open it by the name that it was given.</p>"
      return .page(locked.lockedPage(hint: hint), status: 421)
    }
    switch (request.method, request.page) {
    case (.get, "style.css"): return .file(Assets.styleSheet, type: "text/css; charset=utf-8")
    case (.get, "script.js"): return .file(Assets.script, type: "text/javascript; charset=utf-8")
    default: break
    }
    let (session, cookie): (String, String?)
    switch enter(request) {
    case .entered(let known): (session, cookie) = (known, nil)
    case .begun(let new): (session, cookie) = (new, header(new, request))
    case .refused(let response): return response
    }
    let response =
      request.method == .post
      ? await change(request, session)
      : await pageResponse(request, shell(request, session: session, flash(request)))
    return cookie.map { response.setting(cookie: $0) } ?? response
  }

  /// Returns the answer to a request that is refused whatever its form says; nil to read the form.
  func refusal(_ request: SiteRequest) async -> SiteResponse? {
    if let hosts, !hosts.accepts(request.host) { return await respond(request) }
    if case .refused(let response) = enter(request) { return response }
    return options.allowsChanges ? nil : await respond(request)
  }

  /// Ends all streams.
  func end() async { await feed.end() }

  // MARK: Sessions

  private enum Entrance {
    case entered(String), begun(String)
    case refused(SiteResponse)
  }

  private func enter(_ request: SiteRequest) -> Entrance {
    if let session = request.cookie(sessions.cookie), sessions.isValid(session) {
      // The token must not stay in the address, and so in the browser's history.
      if case .token = access, request.method == .get, request.query["token"] != nil {
        return .refused(.redirect(Link(request.base, request.page)))
      }
      return .entered(session)
    }
    guard case .token(let token, _) = access else { return .begun(sessions.begin()) }
    guard request.method == .get, let given = request.query["token"], Secret.equal(given, token) else {
      return .refused(.page(shell(request, session: "", nil).lockedPage(hint: Self.hint), status: 401))
    }
    return .refused(
      .redirect(Link(request.base, request.page)).setting(cookie: header(sessions.begin(), request)))
  }

  private func header(_ session: String, _ request: SiteRequest) -> String {
    let origins = options.trustedOrigins
    let isSecure =
      switch options.cookieSecurity {
      case .always: true
      case .never: false
      case .automatic:
        request.isOverTLS
          || (!origins.isEmpty && origins.allSatisfy { $0.lowercased().hasPrefix("https://") })
      }
    return sessions.header(session, path: request.base, isSecure: isSecure)
  }

  private static let hint: HTML = """
    <p>Open the address that <code>qudo serve</code> printed when it started. It ends with <code>?token=…</code>, \
    and is needed once in each browser.</p><p>If you came here by that address, reload this page. A dashboard that was started again \
    has a new token.</p>
    """

  private func flash(_ request: SiteRequest) -> Flash? { flashes.take(request.query["flash"]) }

  private func shell(_ request: SiteRequest, session: String, _ flash: Flash?) -> Shell {
    Shell(
      base: request.base, title: options.title, allowsChanges: options.allowsChanges,
      databases: databases.names,
      now: clock.now().wall, flash: flash, formToken: session.isEmpty ? "" : sessions.formToken(session))
  }

  // MARK: Changes

  private func change(_ request: SiteRequest, _ session: String) async -> SiteResponse {
    let shell = shell(request, session: session, nil)
    guard options.allowsChanges else {
      return .page(
        shell.messagePage(
          "Changes are not allowed",
          "<p>This dashboard only shows the queue. Start it with <code>--allow-changes</code>, or set <code>allowsChanges</code>.</p>"
        ),
        status: 403)
    }
    guard request.page == "change" else { return notFound(shell) }
    if let refusal = ChangeCheck.refusal(request, sessions, session: session, origins: options.trustedOrigins)
    {
      return .page(
        shell.messagePage(
          "Refused", "<p>\(refusal) Nothing was changed. Go back to the page, reload it, and try again.</p>"),
        status: 403)
    }
    do throws(QudoError) {
      let order = try ChangeOrder(request.form)
      let flash = try await order.perform(databases)
      await feed.invalidate()
      return .redirect(back(order, request.base).with("flash", flashes.keep(flash)))
    } catch {
      return .page(
        shell.messagePage("Not done", "<p>\(error.description)</p>"),
        status: error.code == .invalidArgument ? 400 : 503)
    }
  }

  /// The page on which a change is seen.
  private func back(_ order: ChangeOrder, _ base: String) -> Link {
    let id = order.id.map { "\($0)" }
    switch order.change {
    case .replay, .resolve: return Link(base, "failure", ["database": order.database, "id": id])
    case .cancel, .runNow, .recover: return Link(base, "job", ["database": order.database, "id": id])
    case .pause, .resume: return Link(base, "")
    case .pauseSchedule, .resumeSchedule, .runSchedule: return Link(base, "schedules")
    }
  }

  // MARK: Pages

  private func pageResponse(_ request: SiteRequest, _ shell: Shell) async -> SiteResponse {
    do throws(QudoError) {
      switch request.page {
      case "": return .page(shell.overviewPage(parts(await feed.current(), .overview, shell)))
      case "jobs": return .page(try await jobs(JobsQuery(request.query), shell))
      case "job": return try await job(request, shell)
      case "failures": return .page(await failures(FailuresQuery(request.query), shell))
      case "failure": return try await failure(request, shell)
      case "schedules": return .page(await schedules(shell))
      case "workers": return .page(shell.workersPage(parts(await feed.current(), .workers, shell)))
      case "databases": return .page(await databasesPage(shell))
      case "search": return await search(request, shell)
      case "confirm" where options.allowsChanges:
        let order = try ChangeOrder(request.query)
        return SiteResponse.page(shell.confirmPage(order, back: back(order, request.base))).withOrigin
      case "events": return await events(request, shell)
      default: return notFound(shell)
      }
    } catch {
      let isAsked = error.code == .invalidArgument
      return .page(
        shell.messagePage(
          isAsked ? "That cannot be shown" : "The database does not answer", "<p>\(error.description)</p>"),
        status: isAsked ? 400 : 503)
    }
  }

  private func notFound(_ shell: Shell) -> SiteResponse {
    .page(
      shell.messagePage(
        "No such page",
        "<p>The dashboard has no page of this name. Begin at the <a href=\"\(shell.link(""))\">overview</a>.</p>"
      ),
      status: 404)
  }

  private func events(_ request: SiteRequest, _ shell: Shell) async -> SiteResponse {
    let page = request.query["page"].flatMap(LivePage.init(rawValue:)) ?? .overview
    guard let viewer = await feed.join() else {
      return .text(
        "Too many pages are open. Close some, or reload this one to see new figures.\n", status: 503)
    }
    return .events(viewer, page, base: request.base)
  }

  /// The parts of a live page, made once of each view.
  private func parts(_ view: LiveView, _ page: LivePage, _ shell: Shell) -> HTML {
    view.made.fragment(MadeParts.Key(page: page, base: shell.base)) {
      switch page {
      case .overview: shell.overviewParts(view)
      case .workers: shell.workersParts(view)
      }
    }
  }

  /// The text of one server-sent event: the parts of a page as they are now.
  func event(_ view: LiveView, _ page: LivePage, base: String) -> String {
    view.made.event(MadeParts.Key(page: page, base: base)) {
      let parts = parts(view, page, shell(SiteRequest(base: base), session: "", nil))
      return "event: update\n"
        + parts.markup.split(separator: "\n", omittingEmptySubsequences: false).map { "data: \($0)\n" }
        .joined()
        + "\n"
    }
  }

  /// The last event: the page need not ask again.
  static let lastEvent = "event: end\ndata: end\n\n"

  // MARK: Reading

  /// Calls `body` with the driver of one database, or with all.
  private func each<Value: Sendable>(
    _ database: String?, _ body: @escaping @Sendable (any LogDriver) async throws(QudoError) -> Value
  ) async -> [DatabaseAnswer<Value>] {
    guard let database else {
      return await databases.forEachDriver { driver throws(QudoError) in
        guard let driver = driver as? any LogDriver else {
          throw QudoError(.invalidArgument, "the driver of \(driver.name) has no logs: use one that has")
        }
        return try await body(driver)
      }
    }
    do throws(QudoError) {
      let value = try await databases.logs(in: database, isRead: true, body)
      return [DatabaseAnswer(database: database, result: .success(value))]
    } catch {
      return [DatabaseAnswer(database: database, result: .failure(error))]
    }
  }

  /// The kinds of the newest sample, to choose from; none if nobody has looked yet.
  private func knownKinds() async -> [String] {
    var kinds: Set<Kind> = []
    for database in await feed.known?.databases ?? [] {
      for kind in database.state?.kinds ?? [] where kinds.count < 200 { kinds.insert(kind.kind) }
    }
    return kinds.sorted().map(\.name)
  }

  private func jobs(_ query: JobsQuery, _ shell: Shell) async throws(QudoError) -> HTML {
    let filter = try query.filter()
    let answers = await each(query.database) { driver throws(QudoError) in
      try await JobSearch.page(driver, filter, after: query.after)
    }
    return shell.jobsPage(query, answers, kinds: await knownKinds())
  }

  private func job(_ request: SiteRequest, _ shell: Shell) async throws(QudoError) -> SiteResponse {
    let (database, number) = try target(request)
    let detail = try await databases.logs(in: database, isRead: true) { driver throws(QudoError) in
      var detail = JobDetail(database: database, number: number, outcome: .neverExisted)
      detail.outcome = try await driver.outcomes(of: [number]).first ?? .neverExisted
      detail.failures = try await driver.failures(LogQuery(limit: 20, job: number).withoutPayloads)
      detail.statuses = try await driver.statuses(LogQuery(limit: 20, job: number))
      return detail
    }
    if case .neverExisted = detail.outcome { return .page(shell.jobPage(detail), status: 404) }
    return .page(shell.jobPage(detail))
  }

  private func failures(_ query: FailuresQuery, _ shell: Shell) async -> HTML {
    let kinds = query.kind.map { [Kind($0)] }
    let answers = await each(query.database) { driver throws(QudoError) in
      try await FailureSearch.page(driver, kinds: kinds, query.filter, after: query.after)
    }
    return shell.failuresPage(query, answers, kinds: await knownKinds())
  }

  private func failure(_ request: SiteRequest, _ shell: Shell) async throws(QudoError) -> SiteResponse {
    let (database, id) = try target(request)
    let row = try await databases.logs(in: database, isRead: true) { driver throws(QudoError) in
      try await driver.failures(LogQuery(limit: 1, ids: [id])).first
    }
    return .page(shell.failurePage(row, database, id), status: row == nil ? 404 : 200)
  }

  private func schedules(_ shell: Shell) async -> HTML {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      try await driver.scheduling().schedules(nil)
    }
    return shell.schedulesPage(answers)
  }

  private func databasesPage(_ shell: Shell) async -> HTML {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      var facts = DatabaseFacts()
      facts.description = try await (driver as? any DescribedDriver)?.describe()
      facts.rows = try await (driver as? any ObservedDriver)?.logRows(
        countingUpTo: DatabaseFacts.mostRows + 1)
      return facts
    }
    return shell.databasesPage(await feed.current(), answers, databases.states)
  }

  /// A number is a job's id; anything else is a unique key, or the beginning of one.
  private func search(_ request: SiteRequest, _ shell: Shell) async -> SiteResponse {
    guard let text = request.query["q"] else { return .redirect(shell.link("jobs")) }
    guard let number = Int64(text), number > 0 else {
      if let job = await holder(of: text) { return .redirect(shell.job(job.database, job.number)) }
      return .redirect(shell.link("jobs", ["key": text]))
    }
    let names = databases.names
    guard names.count > 1 else { return .redirect(shell.job(names.first ?? "", number)) }
    return .page(shell.choicePage(number))
  }

  /// Returns the job with a unique key, even one that has ended, among the kinds of the newest sample.
  private func holder(of key: String) async -> JobID? {
    let kinds = await knownKinds().map { Kind($0) }
    let answers = await each(nil) { driver throws(QudoError) -> Int64? in
      for kind in kinds {
        if let job = try await driver.job(withUniqueKey: key, kind: kind) { return job }
      }
      return nil
    }
    for answer in answers {
      if case .success(let number?) = answer.result {
        return JobID(database: answer.database, number: number)
      }
    }
    return nil
  }

  private func target(_ request: SiteRequest) throws(QudoError) -> (database: String, id: Int64) {
    guard let id = request.query.number("id"),
      let database = request.query["database"] ?? databases.names.first
    else {
      throw QudoError(.invalidArgument, "the address has no id that is a number: choose one from a list")
    }
    return (database, id)
  }
}
#endif
