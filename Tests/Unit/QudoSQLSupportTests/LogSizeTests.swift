import Qudo
import QudoSQLSupport
import QudoTesting
import Testing

/// Which rows of a log are beyond a number of rows.
@Suite struct LogSizeTests {
  /// A log in memory, which counts the rows that it is asked to walk.
  private final class FakeLog: LogRows {
    var ids: [Int64] = []
    /// How often all rows were counted, and how many rows were walked otherwise.
    var (counts, walked) = (0, 0)
    /// Whether the row that others are compared with is gone when it is looked for.
    var hidesFirst = false

    func all() -> (count: Int, oldest: Int64, newest: Int64) {
      counts += 1
      return (ids.count, ids.first ?? 0, ids.last ?? 0)
    }
    func count(_ range: ClosedRange<Int64>) -> Int {
      let before = range.lowerBound == .min ? 0 : number(upTo: range.lowerBound - 1)
      let count = number(upTo: range.upperBound) - before
      walked += count
      return count
    }
    func id(_ offset: Int, from first: Int64) -> Int64? {
      walked += offset
      guard ids.contains(first), !hidesFirst else { return nil }
      return ids.drop { $0 < first }.dropFirst(offset).first
    }
    func prune(to id: Int64) { ids.removeFirst(number(upTo: id)) }
    /// The number of rows up to this one. They are in order: to look at each takes seconds in a debug build.
    private func number(upTo id: Int64) -> Int {
      var (low, high) = (0, ids.count)
      while low < high {
        let middle = (low + high) / 2
        if ids[middle] <= id { low = middle + 1 } else { high = middle }
      }
      return low
    }
  }

  /// Other processes prune by age and with other numbers, and some rows are committed late.
  @Test(arguments: 0..<20) func surplusIsExact(seed: UInt64) throws {
    var random = Seeded(seed: seed)
    func once(in count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }
    let log = FakeLog()
    var hasLateRows = false
    var size = LogSize()
    var next: Int64 = 1
    for _ in 0..<400 {
      for _ in 0..<Int.random(in: 0...20, using: &random) {
        log.ids.append(next)
        next += once(in: 3) ? Int64.random(in: 2...9, using: &random) : 1
      }
      if once(in: 10) { log.ids.removeFirst(Int.random(in: 0...log.ids.count, using: &random)) }
      if once(in: 40),
        let gap = log.ids.indices.dropFirst().last(where: { log.ids[$0] - log.ids[$0 - 1] > 1 })
      {
        log.ids.insert(log.ids[gap] - 1, at: gap)
        hasLateRows = true
      }
      guard let oldest = log.ids.first, let newest = log.ids.last else { continue }
      let keep = once(in: 10) ? Int.random(in: 0...60, using: &random) : 30
      let surplus = try size.surplus(beyond: keep, oldest: oldest, newest: newest, in: log)
      let found = log.ids.prefix { $0 <= surplus ?? 0 }.count
      let expected = max(0, log.ids.count - keep)
      if hasLateRows { #expect(found <= expected) } else { #expect(found == expected) }
      if let surplus, !once(in: 4) { log.prune(to: surplus) }
    }
  }

  @Test func rowsAreCountedOnceAndNotAtEachLook() throws {
    let log = FakeLog()
    var size = LogSize()
    var written = 0
    for _ in 0..<1000 {
      for _ in 0..<10 {
        written += 1
        // Only every second number is used.
        log.ids.append(Int64(written * 2))
      }
      let surplus = try size.surplus(
        beyond: 3000, oldest: try #require(log.ids.first), newest: try #require(log.ids.last), in: log)
      if let surplus { log.prune(to: surplus) }
    }
    #expect(log.ids.count == 3000)
    #expect(log.counts <= 2)
    #expect(log.walked <= 2 * written)
  }

  @Test("processes that prune in turn count all rows rarely") func inTurn() throws {
    let log = FakeLog()
    var sizes = [LogSize(), LogSize(), LogSize()]
    log.ids = (1...20_000).map { $0 * 2 }
    let keep = 18_000
    for look in 0..<1500 {
      let next = try #require(log.ids.last) + 2
      log.ids += (0..<20).map { next + $0 * 2 }
      let surplus = try sizes[look % 3].surplus(
        beyond: keep, oldest: try #require(log.ids.first), newest: try #require(log.ids.last), in: log)
      log.prune(to: try #require(surplus))
      #expect(log.ids.count == keep)
    }
    // Each process counts all rows once in 6,400 that are pruned. A look counts the new ones and some of the oldest.
    #expect(log.counts <= 3 * 7)
    #expect(log.walked <= 1500 * 300 + 21 * 7000)
  }

  @Test("rows that others prune meanwhile are not counted as if they were there") func others() throws {
    let log = FakeLog()
    var size = LogSize()
    log.ids = Array(51...150)
    // The first row went after its id was read.
    log.hidesFirst = true
    #expect(try size.surplus(beyond: 40, oldest: 51, newest: 150, in: log) == nil)
    log.hidesFirst = false
    #expect(try size.surplus(beyond: 40, oldest: 51, newest: 150, in: log) == 110)
  }

  @Test func aLogWithinItsNumbersIsNotCounted() throws {
    let log = FakeLog()
    var size = LogSize()
    log.ids = Array(1...1000)
    #expect(try size.surplus(beyond: 1000, oldest: 1, newest: 1000, in: log) == nil)
    #expect(try size.surplus(beyond: 0, oldest: 1, newest: 1000, in: log) == 1000)
    #expect(try size.surplus(beyond: -1, oldest: 1, newest: 1000, in: log) == 1000)
    #expect(try size.surplus(beyond: .max, oldest: 1, newest: .max, in: log) == nil)
    #expect(log.counts == 0 && log.walked == 0)
  }

  @Test func aDatabaseWithLowerNumbersIsCountedAgain() throws {
    let log = FakeLog()
    var size = LogSize()
    log.ids = Array(1000...2000)
    #expect(try size.surplus(beyond: 10, oldest: 1000, newest: 2000, in: log) == 1990)
    log.ids = Array(1...20)
    #expect(try size.surplus(beyond: 10, oldest: 1, newest: 20, in: log) == 10)
  }
}
