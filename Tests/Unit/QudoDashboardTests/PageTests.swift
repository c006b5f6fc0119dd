#if Dashboard
import Foundation
import ForwardingDriver
import Qudo
import QudoMonitor
import QudoSQLite
import QudoTesting
import Testing

@testable import QudoDashboard

/// What pages show.
@Suite struct PageTests {
  let driver = MemoryDriver(name: "jobs")

  private func visitor(_ driver: (any Driver)? = nil) -> Visitor { .open(Databases(driver ?? self.driver)) }

  private static let pages = ["", "jobs", "failures", "schedules", "workers", "databases"]

  /// A file in a folder of its own.
  private func withFile(_ body: (SQLiteDriver) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-dashboard-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = try SQLiteDriver(path: folder.appendingPathComponent("jobs.db").path, durability: .off)
    do { try await body(file) } catch {
      await file.close()
      throw error
    }
    await file.close()
  }

  /// Fails a job, for good if `isFinal`.
  @discardableResult
  private func fail(_ driver: any Driver, _ kind: Kind, _ message: String, isFinal: Bool = true) async throws
    -> Int64
  {
    let job = try #require(
      try await driver.claim(ClaimRequest([.init(kind, leaseDuration: .seconds(60))], limit: 1)).jobs.first)
    let outcome: Settlement.Outcome =
      isFinal ? .failed(message: message) : .retry(after: .zero, message: message)
    _ = try await driver.settle([Settlement(job.lease, outcome)], claiming: nil)
    return job.id
  }

  @Test("an empty queue says what to do", arguments: [false, true]) func empty(isFile: Bool) async throws {
    func check(_ driver: any Driver) async {
      let visitor = visitor(driver)
      #expect(await visitor.get("").contains("qudo enqueue KIND PAYLOAD"))
      #expect(await visitor.get("jobs").contains("Nothing waits"))
      #expect(await visitor.get("failures").contains("No run has failed"))
      #expect(await visitor.get("schedules").contains("qudo schedule add"))
      #expect(await visitor.get("workers").contains("No job is running"))
      #expect(await visitor.get("databases").contains("up</span>"))
      #expect(await visitor.get("job?id=1").status == 404)
      #expect(await visitor.get("failure?id=1").status == 404)
      #expect(await visitor.get("job").status == 400)
      #expect(await visitor.get("nope").status == 404)
    }
    if isFile { try await withFile { await check($0) } } else { await check(driver) }
  }

  @Test("each page has a title, one main heading, landmarks and a way past the menu") func structure()
    async throws
  {
    _ = try await driver.insert([NewJob("a", payload: Payload("x"))])
    for page in Self.pages + ["job?id=1", "confirm?change=pause", "nope"] {
      let text = await visitor().get(page).text
      for part in [
        "<html lang=\"en\">", "class=\"skip\" href=\"#content\"", "<main id=\"content\"", "<nav aria-label=",
        "role=\"search\"",
      ] {
        #expect(text.contains(part), "\(page) \(part)")
      }
      #expect(text.matches(of: /<h1>/).count == 1, "\(page)")
      let ids = text.matches(of: /\sid="([^"]*)"/).map { String($0.1) }
      #expect(ids.count == Set(ids).count, "\(page)")
      // Each field has a label.
      for field in text.matches(of: /<(input|select)[^>]* id="([^"]*)"/) {
        #expect(text.contains("for=\"\(field.2)\""))
      }
      for table in text.components(separatedBy: "<table").dropFirst() {
        #expect(table.contains("<caption") && table.contains("scope="))
      }
    }
  }

  @Test("a held job says what it waits for") func held() async throws {
    let job = NewJob("a", payload: Payload("x"), concurrencyKey: ConcurrencyKey("one"))
    _ = try await driver.insert([job, job])
    let text = "when earlier jobs with its concurrency key have ended"
    #expect(await visitor().get("job?id=2").contains(text))
    #expect(await !visitor().get("job?id=1").contains(text))
  }

  static let hostile =
    "\"><img src=x onerror=alert(1)><script>alert('x')</script>javascript:\u{2028}\u{202E}`&amp;"

  @Test(
    "hostile kinds, keys, payloads, metadata, messages and schedules are text everywhere",
    arguments: [false, true])
  func hostile(isFile: Bool) async throws {
    func check(_ driver: any ControlDriver & ScheduleDriver) async throws {
      let kind = Kind(Self.hostile)
      var job = NewJob(kind, payload: Payload(Self.hostile), unique: UniqueKey(Self.hostile))
      // The second entry has a link to the jobs with it, the first one a name that no filter can say.
      job.metadata = [Self.hostile: Self.hostile, "<script>alert('x')</script>": Self.hostile]
      _ = try await driver.insert([job, NewJob(kind, payload: Payload([0, 0xFF, 0xC3, 0x28]))])
      try await driver.pause([kind], until: nil, reason: Self.hostile)
      var schedule = StoredSchedule(name: Self.hostile, rule: Self.hostile, kind: kind)
      schedule.reason = Self.hostile
      schedule.isPaused = true
      _ = try await driver.store([schedule])
      _ = try await driver.resume(nil)
      try await fail(driver, kind, Self.hostile, isFinal: false)
      _ = try await driver.claim(ClaimRequest([.init(kind, leaseDuration: .seconds(60))], limit: 1))
      let visitor = visitor(driver)
      let encoded = Link.encoded(Self.hostile)
      for page in Self.pages + [
        "job?id=1", "job?id=2", "failure?id=1",
        "jobs?kind=\(encoded)&key=\(encoded)&contains=\(encoded)&state=\(encoded)&after=\(encoded)",
        "jobs?metadata=\(encoded)", "jobs?metadata=%3Cscript%3E%3D\(encoded)",
        "jobs?metadata=%3Cscript%3E\u{2028}",
        "failures?kind=\(encoded)&contains=\(encoded)&which=\(encoded)", "job?id=1&database=\(encoded)",
        "confirm?change=pause&name=\(encoded)&database=\(encoded)", "confirm?change=\(encoded)",
        "search?q=\(encoded)x",
      ] {
        let answer = await visitor.get(page)
        #expect(answer.text.matches(of: /<script/).count <= 1 && !answer.contains("<img"), "\(page)")
        #expect(
          !answer.contains("\u{2028}") && !answer.contains("\u{202E}") && !answer.contains("\u{0}"), "\(page)"
        )
        #expect(!answer.contains("href=\"javascript"), "\(page)")
        if let place = answer.header("Location") { #expect(place.hasPrefix("/jobs?key=%22%3E"), "\(place)") }
      }
      for page in ["", "jobs", "job?id=1", "failure?id=1", "schedules", "workers"] {
        #expect((await visitor.get(page)).contains("&lt;script&gt;alert(&#39;x&#39;)"), "\(page)")
      }
      // What the live stream sends is made in the same way.
      let event = visitor.site.event(await visitor.site.feed.current(), .overview, base: "")
      #expect(!event.contains("<script") && event.contains("&lt;script&gt;"))
      #expect(event.split(separator: "\n").dropFirst().allSatisfy { $0.hasPrefix("data: ") })
    }
    if isFile { try await withFile { try await check($0) } } else { try await check(driver) }
  }

  @Test("a payload of 10 MB is cut off, with its size") func large() async throws {
    var limits = Limits()
    limits.payloadBytes = 20_000_000
    let driver = MemoryDriver(name: "jobs", limits: limits)
    _ = try await driver.insert([NewJob("a", payload: Payload([UInt8](repeating: 0x3C, count: 10_000_000)))])
    let answer = await visitor(driver).get("job?id=1")
    #expect(answer.contains("10\u{202F}MB") && answer.contains("The first 65.5\u{202F}kB of 10\u{202F}MB"))
    #expect(answer.text.utf8.count < 400_000)
    #expect((await visitor(driver).get("jobs")).text.utf8.count < 20_000)
  }

  @Test("a job is shown with its data, and after it with its history") func job() async throws {
    var new = NewJob("mail.send", payload: Payload(#"{"to":"ada"}"#), unique: "order-1", priority: 7)
    new.metadata = ["tenant": "acme"]
    _ = try await driver.insert([new])
    let visitor = visitor()
    var page = await visitor.get("job?id=1&database=jobs")
    for part in [
      "mail.send", "ready</span>", "order-1", ">7<", "tenant", "acme", "&quot;to&quot;: &quot;ada&quot;",
      "Enqueued",
    ] {
      #expect(page.contains(part), "\(part)")
    }
    try await fail(driver, "mail.send", "no route to host", isFinal: false)
    try await fail(driver, "mail.send", "still none")
    page = await visitor.get("job?id=1")
    for part in ["Failed for good", "still none", "no route to host", "Attempt 1", "Attempt 2", "Replay"] {
      #expect(page.contains(part), "\(part)")
    }
    let failure = try #require(page.links("failure").first)
    #expect((await visitor.follow(failure)).contains("still none"))
    #expect((await visitor.get("failure?id=1&database=jobs")).contains("The job was retried"))
  }

  @Test("a job that completed without a record says so") func unrecorded() async throws {
    _ = try await driver.insert([NewJob("a", payload: Payload("x")), NewJob("b", payload: Payload("y"))])
    for (kind, recording) in [("a" as Kind, nil as Duration?), ("b", .milliseconds(1500))] {
      let job = try #require(
        try await driver.claim(ClaimRequest([.init(kind, leaseDuration: .seconds(60))], limit: 1)).jobs.first)
      _ = try await driver.settle([Settlement(job.lease, .completed(), recording: recording)], claiming: nil)
    }
    #expect((await visitor().get("job?id=1")).contains("qudo work --record"))
    let recorded = await visitor().get("job?id=2")
    #expect(recorded.contains("completed</span>") && recorded.contains("1.5\u{202F}s"))
  }

  @Test(
    "jobs are paged by id: each once, in order, also if jobs come and go meanwhile", arguments: [false, true])
  func paging(isFile: Bool) async throws {
    func check(_ driver: any ControlDriver) async throws {
      _ = try await driver.insert(
        (1...120).map { NewJob($0 % 2 == 0 ? "even" : "odd", payload: Payload("\($0)")) })
      let visitor = visitor(driver)
      var seen: [Int64] = []
      var page = await visitor.get("jobs")
      while true {
        seen += page.text.matches(of: /job\?database=jobs&amp;id=([0-9]+)"/).compactMap { Int64($0.1) }
        guard let next = page.text.firstMatch(of: /rel="next" href="([^"]*)"/).map({ String($0.1) }) else {
          break
        }
        _ = try await driver.cancel([seen[seen.count - 1]], reason: nil)
        page = await visitor.follow(next)
      }
      #expect(seen == Array(1...120).map { Int64($0) })
      let even = await visitor.get("jobs?kind=even&state=ready")
      #expect(even.text.matches(of: /job\?database/).count == 50 && even.contains("rel=\"next\""))
      #expect((await visitor.get("jobs?kind=even&after=100")).contains("First page"))
      #expect((await visitor.get("jobs?state=running")).contains("Change the filter"))
    }
    if isFile { try await withFile { try await check($0) } } else { try await check(driver) }
  }

  @Test("filters find jobs by key and payload, however far apart the ids are", arguments: [false, true])
  func filters(isFile: Bool) async throws {
    func check(_ driver: any ControlDriver) async throws {
      _ = try await driver.insert((1...60).map { NewJob("a", payload: Payload("p\($0)")) })
      _ = try await driver.insert([
        NewJob("b", payload: Payload("find me"), unique: "order-17"),
        NewJob("b", payload: Payload("p7"), unique: "order-18"),
      ])
      let visitor = visitor(driver)
      func ids(_ address: String) async -> [String] {
        (await visitor.get(address)).text.matches(
          of: /<th scope="row" class="num"><a href="\/job\?database=jobs&amp;id=([0-9]+)"/
        ).map { String($0.1) }
      }
      #expect(await ids("jobs?contains=find+me") == ["61"])
      #expect(await ids("jobs?contains=p7") == ["7", "62"])
      #expect(await ids("jobs?contains=p7&kind=b") == ["62"])
      #expect(await ids("jobs?key=order-") == ["61", "62"])
      #expect(await ids("jobs?key=order-&after=61") == ["62"])
      #expect(await ids("jobs?contains=p&state=ready").count == 50)
      #expect(await ids("jobs?contains=none").isEmpty)
      let long = String(repeating: "x", count: 2000)
      #expect((await visitor.get("jobs?contains=\(long)")).contains("give a part of them"))
    }
    if isFile { try await withFile { try await check($0) } } else { try await check(driver) }
  }

  @Test(
    "a filter finds jobs by an entry of their metadata, and a job leads to those with the same",
    arguments: [false, true])
  func metadata(isFile: Bool) async throws {
    func check(_ driver: any ControlDriver) async throws {
      _ = try await driver.insert(
        (1...60).map { number in
          var job = NewJob("a", payload: Payload("\(number)"))
          job.metadata = ["tenant": number % 20 == 0 ? "acme & sons" : "other", "a=b": "c", "empty": ""]
          return job
        })
      let visitor = visitor(driver)
      func ids(_ page: Answer) -> [String] {
        page.text.matches(of: /<th scope="row" class="num"><a href="\/job\?database=jobs&amp;id=([0-9]+)"/)
          .map {
            String($0.1)
          }
      }
      let page = await visitor.get("jobs?metadata=tenant%3Dacme+%26+sons")
      #expect(
        ids(page) == ["20", "40", "60"] && page.contains("value=\"tenant=acme &amp; sons\"")
          && page.contains("Clear"))
      #expect(ids(await visitor.get("jobs?metadata=tenant%3Dacme")).isEmpty)
      #expect(ids(await visitor.get("jobs?metadata=empty%3D&after=58")) == ["59", "60"])
      #expect(
        (await visitor.get("jobs?metadata=tenant%3Dother")).contains("metadata=tenant%3Dother&amp;after="))
      for wrong in ["tenant", "%3Dacme"] {
        let answer = await visitor.get("jobs?metadata=\(wrong)")
        #expect(answer.status == 400 && answer.contains("write it as name=text"))
      }
      #expect(
        (await visitor.get("jobs?metadata=a%3D" + String(repeating: "x", count: 2000))).contains(
          "look for a shorter one"))
      let job = await visitor.get("job?id=20")
      #expect(job.contains("3 entries") && job.contains("acme &amp; sons") && job.contains("a=b"))
      let link = try #require(job.links("jobs").first { $0.contains("tenant") })
      #expect(ids(await visitor.follow(link)) == ["20", "40", "60"])
      #expect(!job.links("jobs").contains { $0.contains("a%3Db") }, "no filter can say it")
    }
    if isFile { try await withFile { try await check($0) } } else { try await check(driver) }
  }

  @Test("lists read the beginnings of payloads, and of failures none") func lean() async throws {
    let driver = NotingDriver()
    _ = try await driver.insert([NewJob("a", payload: Payload([UInt8](repeating: 0x61, count: 5000)))])
    let visitor = visitor(driver)
    let page = await visitor.get("jobs")
    #expect(
      page.contains(String(repeating: "a", count: 160) + "…")
        && !page.contains(String(repeating: "a", count: 161)))
    _ = await visitor.get("jobs?contains=aaa")
    #expect(driver.prefixes.withLock { $0 } == [161, 0, 161, 0])
    try await fail(driver, "a", "no")
    _ = await visitor.get("failures")
    _ = await visitor.get("failures?contains=no")
    #expect(driver.omits.withLock { $0 }.allSatisfy(\.self) && driver.omits.withLock { $0 }.count == 4)
  }

  @Test("the page of the databases counts rows of the logs up to a bound") func logRows() async throws {
    let shell = Shell(databases: ["jobs"], now: Timestamp(microseconds: 0))
    func page(_ failures: Int, _ statuses: Int) -> String {
      var facts = DatabaseFacts()
      facts.rows = LogRowCounts(failures: failures, statuses: statuses, failuresEver: 7)
      let sample = QueueSample(
        at: Timestamp(microseconds: 0), sinceBoot: 0, took: .zero,
        databases: [DatabaseSample(name: "jobs", result: .success(.init(now: Timestamp(microseconds: 0))))])
      return shell.databasesPage(
        LiveView(sample: sample, history: SampleHistory()),
        [.init(database: "jobs", result: .success(facts))], []
      ).markup
    }
    #expect(
      page(1, 100_000).contains("<dd>1 row</dd>") && page(1, 100_000).contains("<dd>100\u{202F}000 rows</dd>")
    )
    #expect(page(0, 100_001).contains("<dd>more than 100\u{202F}000 rows</dd>"))
    #expect((await visitor().get("databases")).contains("<dd>0 rows</dd>"))
  }

  @Test("a search looks at a bounded number of ids, and goes on from there") func bounded() async throws {
    let driver = CountingDriver(ids: 1_000_000)
    let found = try await JobSearch.page(driver, JobFilter(payloadContains: [1]), after: 0)
    #expect(found.rows.isEmpty && found.isCutOff && found.next == JobSearch.mostIDs)
    #expect(driver.looked.withLock { $0 } == Int(JobSearch.mostIDs / JobSearch.windowIDs) * 2)
    let last = try await JobSearch.page(driver, JobFilter(payloadContains: [1]), after: 999_000)
    #expect(last.rows.isEmpty && !last.isCutOff && last.next == nil)
  }

  @Test("failures are paged and filtered, newest first", arguments: [false, true]) func failures(isFile: Bool)
    async throws
  {
    func check(_ driver: any ControlDriver) async throws {
      _ = try await driver.insert((1...70).map { NewJob($0 <= 60 ? "a" : "b", payload: Payload("\($0)")) })
      for number in 1...70 {
        try await fail(driver, number <= 60 ? "a" : "b", number == 3 ? "a needle" : "hay \(number)")
      }
      let visitor = visitor(driver)
      func ids(_ page: Answer) -> [Int] {
        page.text.matches(
          of: /<th scope="row" class="num"><a href="\/failure\?database=jobs&amp;id=([0-9]+)"/
        ).compactMap { Int($0.1) }
      }
      let first = await visitor.get("failures")
      #expect(ids(first) == Array((21...70).reversed()))
      let next = try #require(first.text.firstMatch(of: /rel="next" href="([^"]*)"/)).1
      #expect(ids(await visitor.follow(String(next))) == Array((1...20).reversed()))
      #expect(ids(await visitor.get("failures?kind=b")) == Array((61...70).reversed()))
      #expect(ids(await visitor.get("failures?contains=needle")) == [3])
      #expect(ids(await visitor.get("failures?which=open")).count == 50)
      #expect(ids(await visitor.get("failures?which=replayed")).isEmpty)
      #expect(ids(await visitor.get("failures?reason=failed&kind=b&after=65")) == [64, 63, 62, 61])
      #expect(ids(await visitor.get("failures?reason=cancelled")).isEmpty)
    }
    if isFile { try await withFile { try await check($0) } } else { try await check(driver) }
  }

  @Test("schedules show their ticks, and what is wrong with them") func schedules() async throws {
    let clock = ManualClock()
    let driver = MemoryDriver(name: "jobs", clock: clock)
    let now = clock.now().wall
    var late = StoredSchedule(
      name: "late", rule: "every 30s", kind: "a", nextTick: now.advanced(by: .seconds(-60)))
    late.skipsOverlap = true
    var paused = StoredSchedule(name: "paused", rule: "every 30s", kind: "a")
    (paused.isPaused, paused.reason) = (true, "no paper")
    _ = try await driver.store([
      StoredSchedule(
        name: "nightly", rule: "cron 30 2 * * * Europe/Berlin", kind: "a",
        nextTick: now.advanced(by: .seconds(600))),
      late, paused, StoredSchedule(name: "strange", rule: "by the moon", kind: "a", nextTick: now),
    ])
    let page = await Visitor.open(Databases(driver), clock: clock).get("schedules")
    for part in [
      "the schedule strange has a rule that cannot be read", "nightly", "in 10\u{202F}min", "overdue",
      "skips overlaps", "no paper", "cannot be read",
    ] {
      #expect(page.contains(part), "\(part)")
    }
  }

  @Test("an unreachable database has a row with the reason, and the others are shown") func unreachable()
    async throws
  {
    _ = try await driver.insert([NewJob("a", payload: Payload("x"))])
    let databases = try Databases([
      .init(driver),
      .init("far") { () async throws(QudoError) in
        throw QudoError(.unreachable, "cannot reach <far>: check the network")
      },
    ])
    let visitor = Visitor.open(databases)
    for page in Self.pages {
      let answer = await visitor.get(page)
      #expect(
        answer.status == 200 && answer.contains("cannot reach &lt;far&gt;: check the network"), "\(page)")
    }
    #expect((await visitor.get("")).contains("down</span>"))
    #expect((await visitor.get("jobs")).contains("id=1\""))
    #expect(await visitor.get("job?database=far&id=1").status == 503)
    #expect(await visitor.get("job?database=none&id=1").status == 400)
    let choice = await visitor.get("search?q=1")
    #expect(choice.contains("database=jobs&amp;id=1") && choice.contains("database=far&amp;id=1"))
  }

  @Test("the search leads to the job, or to keys that begin so") func search() async throws {
    #expect(await visitor().get("search?q=17").header("Location") == "/job?database=jobs&id=17")
    #expect(await visitor().get("search?q=order-1").header("Location") == "/jobs?key=order-1")
    #expect(await visitor().get("search").header("Location") == "/jobs")
    _ = try await driver.insert([NewJob("a", payload: Payload("x"), unique: "order-1")])
    let visitor = visitor()
    await visitor.get("")
    #expect(await visitor.get("search?q=order-1").header("Location") == "/job?database=jobs&id=1")
    #expect(await visitor.get("search?q=order-").header("Location") == "/jobs?key=order-")
  }
}

/// A driver that notes what lists ask for.
private struct NotingDriver: ForwardingDriver {
  let memory = MemoryDriver(name: "jobs")
  var base: any LogDriver { memory }
  let prefixes = Locked<[Int?]>([])
  let omits = Locked<[Bool]>([])

  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    prefixes.withLock { $0.append(query.payloadPrefix) }
    return try await memory.jobs(matching: query)
  }
  func failures(_ query: LogQuery) async throws(QudoError) -> [FailureRecord] {
    omits.withLock { $0.append(query.omitsPayloads) }
    return try await memory.failures(query)
  }
}

/// A driver of many jobs that no filter fits.
private struct CountingDriver: Driver {
  let base = MemoryDriver()
  let ids: Int64
  let looked = Locked(0)

  var name: String { base.name }
  var capabilities: Capabilities { [] }
  var limits: Limits { base.limits }
  var doorbell: Doorbell { base.doorbell }

  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    looked.withLock { $0 += 1 }
    guard query.filter.payloadContains == nil, query.after < ids else { return [] }
    let now = Timestamp(microseconds: 0)
    return [
      StoredJob(
        id: query.after + 1, kind: "a", state: .ready, payload: Payload([]), uniqueKey: nil, priority: 0,
        attempt: 1,
        enqueuedAt: now, dueAt: now, leaseExpiresAt: nil)
    ]
  }
  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] { try await base.insert(jobs) }
  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim { try await base.claim(request) }
  func settle(_ settlements: [Settlement], claiming next: ClaimRequest?) async throws(QudoError) -> (
    results: [SettleResult], claim: Claim?
  ) { try await base.settle(settlements, claiming: next) }
  func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
    try await base.renew(leases, for: duration)
  }
  func promote(limit: Int) async throws(QudoError) -> Int { try await base.promote(limit: limit) }
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] { try await base.count(kinds) }
  func close() async { await base.close() }
}
#endif
