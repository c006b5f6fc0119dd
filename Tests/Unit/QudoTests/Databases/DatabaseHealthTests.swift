@testable import Qudo
import Testing

@Suite struct DatabaseHealthTests {
  private let down = QudoError(.unreachable, "no route")
  private let second: Int64 = 1_000_000
  private var retry: Int64 { 30 * second }

  private func health() -> DatabaseHealth { DatabaseHealth(isOpen: true, retry: retry) }

  @Test func troubleSetsADatabaseAsideForTheRetryTime() {
    var health = health()
    #expect(health.isUsable)
    let wasLive = health.failed(down, now: 5 * second)
    #expect(wasLive)
    #expect(health.state == .unavailable(until: 35 * second))
    #expect(health.failure?.code == .unreachable)
    #expect(!health.isUsable && !health.isDue(35 * second - 1) && health.isDue(35 * second))
  }

  @Test func onlyOneCallerFindsOutWhetherItIsThereAgain() {
    var health = health()
    _ = health.failed(down, now: 0)
    let (first, second) = (health.beginProbe(), health.beginProbe())
    #expect(first && !second)
    #expect(health.state == .probing && !health.isDue(.max))
  }

  @Test("A failed probe makes a database unavailable again, and a successful one makes it live")
  func probeDecidesTheStatus() {
    var health = health()
    _ = health.failed(down, now: 0)
    _ = health.beginProbe()
    let isNews = health.failed(down, now: 31 * second)
    #expect(!isNews, "that it is down was known")
    #expect(health.state == .unavailable(until: 61 * second))
    _ = health.beginProbe()
    let isBack = health.succeeded()
    #expect(isBack && health.state == .live && health.failure == nil)
  }

  @Test func anErrorOfTheCallSaysNothingOfTheDatabase() {
    for code in [
      QudoError.Code.invalidArgument, .cancelled, .leaseLost, .plugin, .database, .outOfMemory, .queueFull,
    ] {
      var health = health()
      let wasLive = health.failed(QudoError(code, "x"), now: 0)
      #expect(!wasLive && health.state == .live, "\(code)")
    }
  }

  @Test func anAnswerThatComesLateCounts() {
    var health = health()
    health.asked(0)
    _ = health.failed(QudoError(.outcomeUnknown, "no answer"), now: 10 * second)
    #expect(!health.isUsable)
    health.answered(12 * second)
    let isBack = health.succeeded()
    #expect(isBack && health.state == .live && !health.isSlow(60 * second))
  }

  @Test("A database that has owed an answer for over a second is slow") func databaseOwingAnAnswerIsSlow() {
    var health = health()
    health.asked(0)
    #expect(!health.isSlow(second) && health.isSlow(second + 1))
    health.answered(second + 1)
    #expect(!health.isSlow(.max))
  }

  @Test func oneThatAnswersOthersMeanwhileIsNotSlow() {
    var health = health()
    health.asked(0)
    health.asked(second)
    health.answered(2 * second)
    #expect(!health.isSlow(3 * second) && health.isSlow(3 * second + 1))
  }

  @Test("Once a database is live again, an answer owed from before does not count")
  func answersOwedBeforeDoNotCount() {
    var health = health()
    health.asked(0)
    _ = health.failed(down, now: 0)
    _ = health.beginProbe()
    _ = health.succeeded(isProbe: true)
    #expect(!health.isSlow(.max))
    health.answered(0)
    health.asked(second)
    #expect(health.isSlow(3 * second))
  }

  @Test func aClosedDatabaseStaysClosed() {
    var health = health()
    health.close()
    _ = health.succeeded()
    _ = health.failed(down, now: 0)
    #expect(health.state == .closed && !health.beginsProbe)
  }

  @Test("Only errors that say that nothing was written allow a failover")
  func onlyCertainErrorsAllowFailover() {
    for code in [
      QudoError.Code.unreachable, .accessDenied, .cannotOpen, .corrupt, .readOnly, .diskFull, .busy, .ioError,
      .closed, .database,
    ] {
      #expect(QudoError(code, "x").allowsFailover, "\(code)")
    }
    for code in [QudoError.Code.outcomeUnknown, .invalidArgument, .cancelled, .queueFull] {
      #expect(!QudoError(code, "x").allowsFailover, "\(code)")
    }
  }
}

extension DatabaseHealth {
  fileprivate var beginsProbe: Bool {
    var copy = self
    return copy.beginProbe()
  }
}

@Suite struct EnqueueRouteTests {
  private let down = QudoError(.unreachable, "x")

  private func order(_ order: DatabaseOptions.Order, _ health: [DatabaseHealth], now: Int64 = 0) -> [Int] {
    var random = SystemRandomNumberGenerator()
    var route = EnqueueRoute(health.count, order, using: &random)
    var found: [Int] = []
    while let index = route.next(now, { health[$0] }) { found.append(index) }
    return found
  }

  private func live() -> DatabaseHealth { DatabaseHealth(isOpen: true, retry: 1) }

  @Test("The ordered placement goes from first to last, and an unopened database counts as live")
  func orderedTakesUnopenedAsLive() {
    #expect(order(.ordered, [live(), DatabaseHealth(isOpen: false, retry: 1), live()]) == [0, 1, 2])
  }

  @Test func slowOnesComeLaterAndThoseSetAsideLast() {
    var slow = live()
    slow.asked(0)
    var aside = live()
    _ = aside.failed(down, now: 0)
    #expect(order(.ordered, [aside, slow, live()], now: 2_000_000) == [2, 1, 0])
  }

  @Test func shuffledBeginsWithEach() {
    let firsts = Set((0..<200).compactMap { _ in order(.shuffled, [live(), live(), live()]).first })
    #expect(firsts == [0, 1, 2])
  }

  @Test("The databases that are left share the time that is left") func remainingTimeIsShared() {
    var random = SystemRandomNumberGenerator()
    var route = EnqueueRoute(3, .ordered, using: &random)
    _ = route.next(0) { _ in live() }
    #expect(route.share(from: 1000, to: 4000) == 2000)
    _ = route.next(0) { _ in live() }
    #expect(route.share(from: 2000, to: 4000) == 3000)
    _ = route.next(0) { _ in live() }
    #expect(route.share(from: 3000, to: 4000) == 4000)
  }
}
