#if Dashboard
import Qudo
import QudoMonitor
import QudoTesting
import Testing

@testable import QudoDashboard

/// Samples for those who look, and none for nobody.
@Suite struct LiveTests {
  let clock = ManualClock()
  let driver: MemoryDriver
  let feed: LiveFeed

  init() {
    driver = MemoryDriver(name: "jobs", clock: clock)
    feed = LiveFeed(
      QueueSampler([.init(driver)], clock: clock), interval: .seconds(2), maxViewers: 2, clock: clock)
  }

  @Test("viewers share samples, one at each interval") func shared() async throws {
    var first = try #require(await feed.join()).views.makeAsyncIterator()
    #expect(await first.next()?.history.count == 1)
    var second = try #require(await feed.join()).views.makeAsyncIterator()
    #expect(await second.next()?.history.count == 1, "who comes later need not wait")
    #expect(await feed.join() == nil, "there are no more than two")
    await clock.sleepers(atLeast: 1)
    _ = try await driver.insert([NewJob("a", payload: Payload("x"))])
    clock.advance(by: .seconds(2))
    #expect(await first.next()?.sample.databases.first?.state?.ready == 1)
    #expect(await second.next()?.history.count == 2)
    #expect(await feed.sampleCount == 2)
    await feed.end()
    #expect(await first.next() == nil)
    #expect(await second.next() == nil)
    #expect(await feed.join() == nil)
  }

  @Test("a page that is loaded takes a sample only if there is no fresh one") func fresh() async {
    _ = await feed.current()
    _ = await feed.current()
    #expect(await feed.sampleCount == 1)
    clock.advance(by: .seconds(2))
    #expect(await feed.current().history.count == 2)
    clock.advance(by: .seconds(601))
    #expect(await feed.current().history.count == 1, "old figures say nothing about now")
  }

  @Test("when the last viewer leaves, sampling ends") func idle() async throws {
    do {
      var viewer = try #require(await feed.join()).views.makeAsyncIterator()
      _ = await viewer.next()
    }
    while await feed.viewerCount > 0 { await Task.yield() }
    while clock.sleeperCount > 0 { await Task.yield() }
    clock.advance(by: .seconds(60))
    #expect(await feed.sampleCount == 1)
    var again = try #require(await feed.join()).views.makeAsyncIterator()
    #expect(await again.next()?.history.count == 2)
    await feed.end()
  }

  /// Lets the next sample be taken.
  private func pass() async {
    await clock.sleepers(atLeast: 1)
    clock.advance(by: .seconds(2))
  }

  @Test("a viewer that takes nothing loses its place, and the others are shown on") func stalled()
    async throws
  {
    let stalled = try #require(await feed.join())
    var other = try #require(await feed.join()).views.makeAsyncIterator()
    #expect(await feed.join() == nil)
    _ = await other.next()
    for _ in 0..<7 {
      await pass()
      #expect(await other.next() != nil)
    }
    while await feed.viewerCount > 1 { await Task.yield() }
    #expect(stalled.wasDropped)
    var third = try #require(await feed.join()).views.makeAsyncIterator()
    #expect(await third.next() != nil)
    // What waited for the stalled one is still there, and then its stream ends.
    var late = stalled.views.makeAsyncIterator()
    #expect(await late.next() != nil)
    #expect(await late.next() == nil)
    await feed.end()
    #expect(await other.next() == nil)
  }

  @Test("one that is only late is not dropped") func late() async throws {
    let viewer = try #require(await feed.join())
    var other = try #require(await feed.join()).views.makeAsyncIterator()
    var late = viewer.views.makeAsyncIterator()
    for round in 0..<20 {
      _ = await other.next()
      if round % 4 == 3 { #expect(await late.next() != nil) }
      await pass()
    }
    #expect(!viewer.wasDropped)
    #expect(await feed.viewerCount == 2)
    await feed.end()
  }

  @Test("after a change, a look gets a sample that began after it") func invalidated() async throws {
    let (opened, open) = AsyncStream<Void>.makeStream()
    let isAsked = Locked(false)
    let driver = driver
    let feed = LiveFeed(
      QueueSampler(
        [
          .init("jobs") { () async throws(QudoError) in
            isAsked.withLock { $0 = true }
            for await _ in opened { break }
            return driver
          }
        ], clock: clock), interval: .seconds(2), maxViewers: 2, clock: clock)
    async let before = feed.current()
    while !isAsked.withLock({ $0 }) { await Task.yield() }
    async let together = feed.current()
    for _ in 0..<100 { await Task.yield() }
    await feed.invalidate()
    async let after = feed.current()
    for _ in 0..<100 { await Task.yield() }
    open.yield()
    #expect(await before.history.count == 1)
    #expect(await together.history.count == 1)
    #expect(await after.history.count == 2)
    #expect(await feed.current().history.count == 2, "it is fresh")
    #expect(await feed.sampleCount == 2)
  }

  @Test("the parts of a page are made once of each sample, for all who look") func madeOnce() async throws {
    _ = try await driver.insert([NewJob("a", payload: Payload("x"))])
    let site = Site(Databases(driver), DashboardOptions(), clock: clock)
    let view = await site.feed.current()
    let event = site.event(view, .overview, base: "/queue")
    #expect(event.contains("/queue/jobs?kind=a") && site.event(view, .overview, base: "/queue") == event)
    #expect(view.made.count == 1)
    #expect(await Visitor(site, base: "/queue").get("").contains("/queue/jobs?kind=a"))
    #expect(view.made.count == 1)
    _ = site.event(view, .workers, base: "/queue")
    #expect(await Visitor(site, base: "/other").get("").contains("/other/jobs?kind=a"))
    #expect(view.made.count == 3)
    // Paths without an end do not fill the memory.
    for number in 0..<100 { _ = site.event(view, .overview, base: "/\(number)") }
    #expect(site.event(view, .overview, base: "/99").contains("/99/jobs?kind=a"))
    clock.advance(by: .seconds(2))
    #expect(await site.feed.current().made.count == 0)
  }

  @Test("too many viewers are told so") func tooMany() async throws {
    var options = DashboardOptions()
    options.maxViewers = 1
    let visitor = Visitor(Site(Databases(driver), options, clock: clock))
    let first = await visitor.get("events?page=overview")
    guard case .events = first.response.body else {
      Issue.record("the first viewer got no stream")
      return
    }
    let second = await visitor.get("events?page=workers")
    // A stream that nobody holds any more has left its place.
    withExtendedLifetime(first) { #expect(second.status == 503) }
    await visitor.site.end()
  }
}
#endif
