#if MySQL
import Qudo
@testable import QudoMySQL
import Testing

@Suite struct SQLTests {
  @Test func integersAndBytesAreWrittenOut() {
    #expect(("\(0),\(7),\(1_234_567_890),\(Int64.max)" as SQL).text == "0,7,1234567890,9223372036854775807")
    #expect(("\(-1) -\(-5) \(Int64.min)" as SQL).text == "-1 - -5 (-9223372036854775807 - 1)")
    #expect(("\([0, 39, 92, 255] as [UInt8]) \([] as [UInt8])" as SQL).text == "x'00275CFF' x''")
    #expect(("\(nil as [UInt8]?) \(nil as Int64?) \(3 as Int64?)" as SQL).text == "NULL NULL 3")
    #expect(("IN \(list: [1, -2, 3])" as SQL).text == "IN (1,-2,3)")
    for (ids, text) in [
      ([7], "id = 7"), ([1, 2, 3], "id IN (1,2,3)"), ([-1, 0, 1, 2], "(id BETWEEN -1 AND 1 OR id = 2)"),
      ([1, 3, 5, 7], "id IN (1,3,5,7)"),
      (
        [.max - 3, .max - 2, .max - 1, .max],
        "(id BETWEEN \(Int64.max - 3) AND \(Int64.max - 1) OR id = \(Int64.max))"
      ),
      (Array(1...9) + [20], "(id BETWEEN 1 AND 8 OR id = 9 OR id = 20)"),
      (Array(1...4) + Array(6...9), "(id BETWEEN 1 AND 3 OR id = 4 OR id BETWEEN 6 AND 8 OR id = 9)"),
    ] as [([Int64], String)] {
      #expect(("\(ids: ids)" as SQL).text == text)
    }
  }

  @Test func aServerReadsWhatWasWritten() async throws {
    let connection = try await TestDatabase().connection()
    for integer in [0, 1, -1, .max, .min, 1 << 32, -(1 << 40)] as [Int64] {
      #expect(try connection.run("SELECT \(integer), 5 - \(integer / 2)").rows?.next()?.integer(0) == integer)
    }
    var generator = SystemRandomNumberGenerator()
    for length in [0, 1, 255, 100_000] {
      let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
      #expect(try connection.run("SELECT \(bytes)").rows?.next()?.bytes(0) == bytes)
    }
  }

  @Test func pointsOfAKeyAreGroupedAndBounded() throws {
    var points = PointPredicate()
    for id in 0..<1200 { points.add(id < 1100 ? "due = 1" : "due = \(id)", Int64(2 * id)) }
    let conditions = points.conditions.map(\.text)
    try #require(conditions.count == 3)
    #expect(conditions[2].hasPrefix("(due = 1 AND id IN (2000,2002,"))
    #expect(conditions[2].hasSuffix(" OR (due = 1199 AND id = 2398)"))
    #expect(PointPredicate().conditions.isEmpty)
  }

  @Test func aRangeOfPointsIsOneHoweverLongItIs() throws {
    var points = PointPredicate()
    for id in 0..<1200 { points.add(id < 1100 ? "due = 1" : "due = \(id)", Int64(id)) }
    let conditions = points.conditions.map(\.text)
    try #require(conditions.count == 1)
    #expect(conditions[0].hasPrefix("(due = 1 AND (id BETWEEN 0 AND 1098 OR id = 1099)) OR "))
    #expect(conditions[0].hasSuffix(" OR (due = 1199 AND id = 1199)"))
  }

  @Test func idsArePartedUnlessTheyAreFewRanges() {
    #expect((0..<1200).map { Int64($0) }.idParts().map(\.count) == [1200])
    #expect((0..<1200).map { Int64(2 * $0) }.idParts().map(\.count) == [500, 500, 200])
    #expect([Int64]().idParts().isEmpty)
  }

  @Test func groupsKeepTheOrderOfTheirKeys() {
    var groups = Groups<String, Int>()
    for (number, key) in ["b", "b", "a", "b", "c", "a"].enumerated() { groups.add(number, to: key) }
    #expect(
      groups.all.map(\.key) == ["b", "a", "c"] && groups.all.map(\.elements) == [[0, 1, 3], [2, 5], [4]])
  }

  @Test func theFirstStatementThatFailsIsTold() async throws {
    let connection = try await TestDatabase().connection()
    #expect(throws: QudoError.self) { try connection.run(["SELECT 1", "SELECT nothing", "SELECT 2"]) }
    // Nothing is left over that would come as an answer to the next one.
    #expect(try connection.run("SELECT 3").rows?.next()?.integer(0) == 3)
    #expect(
      try connection.run(["SELECT 4", "DO 0", "SELECT 5"]).map { $0.rows?.next()?.integer(0) } == [4, nil, 5])
  }
}
#endif
