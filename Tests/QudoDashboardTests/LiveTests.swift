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
    var first = try #require(await feed.join()).makeAsyncIterator()
    #expect(await first.next()?.history.count == 1)
    var second = try #require(await feed.join()).makeAsyncIterator()
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
      var viewer = try #require(await feed.join()).makeAsyncIterator()
      _ = await viewer.next()
    }
    while await feed.viewerCount > 0 { await Task.yield() }
    while clock.sleeperCount > 0 { await Task.yield() }
    clock.advance(by: .seconds(60))
    #expect(await feed.sampleCount == 1)
    var again = try #require(await feed.join()).makeAsyncIterator()
    #expect(await again.next()?.history.count == 2)
    await feed.end()
  }

  @Test("too many viewers are told so") func tooMany() async throws {
    var options = DashboardOptions()
    options.maxViewers = 1
    let visitor = Visitor(Site(Databases(driver), options, clock: clock))
    guard case .events = await visitor.get("events?page=overview").response.body else {
      Issue.record("the first viewer got no stream")
      return
    }
    #expect(await visitor.get("events?page=workers").status == 503)
    await visitor.site.end()
  }
}
#endif
