#if MySQL
@testable import QudoMySQL
import Qudo
import Testing

@Suite struct ServerClockTests {
  @Test(
    arguments: [
      (10_000_000, Duration.zero), (10_500_000, .zero), (11_000_000, .zero),
      (12_500_000, .milliseconds(1500)),
      (8_500_000, .milliseconds(-1500)),
    ] as [(Int64, Duration)])
  func whatTheQuestionTookIsNoDifference(_ time: Int64, _ ahead: Duration) {
    let (asked, answered) = (Timestamp(microseconds: 10_000_000), Timestamp(microseconds: 11_000_000))
    #expect(MySQLServerFacts.clockAhead(time, asked: asked, answered: answered) == ahead)
  }

  @Test func aDifferenceOfASecondIsWarnedOf() {
    var facts = MySQLServerFacts(version: "10.11.6-MariaDB", longestPacket: 1, losesOnPowerCut: [])
    #expect(facts.clockWarning == nil)
    facts.clockAhead = .milliseconds(999)
    #expect(facts.clockWarning == nil)
    facts.clockAhead = .seconds(1)
    #expect(facts.clockWarning?.isAhead == true)
    facts.clockAhead = .seconds(-3600)
    #expect(facts.clockWarning?.isAhead == false)
    #expect(facts.clockWarning?.difference == "3600.0 seconds")
  }

  @Test func theServersClockIsComparedWhenItIsConnectedTo() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let facts = try await driver.connect()
    #expect(facts.clockAhead > .seconds(-1) && facts.clockAhead < .seconds(1))
    await driver.close()
    try await database.drop()
  }

  /// A client that is gone must not keep what it has locked for hours.
  @Test func anIdleTransactionEnds() async throws {
    let database = try await TestDatabase()
    let connection = try DatabaseOpener.connect(Settings(database.place())).0
    let limit = try connection.run("SELECT @@SESSION.idle_transaction_timeout").rows?.next()?.integer(0)
    #expect(limit == 5)
    try await database.drop()
  }
}
#endif
