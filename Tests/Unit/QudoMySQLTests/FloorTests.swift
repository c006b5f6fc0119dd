#if MySQL
@testable import QudoMySQL
import Qudo
import Testing

/// The bounds that claims begin at, without a server.
@Suite struct FloorTests {
  private let long = ScanCursors.slow + .milliseconds(1)
  private let start = ContinuousClock.now
  private func key(_ id: Int64, ranking: Int64 = 0) -> ScanCursors.Key {
    ScanCursors.Key(ranking: ranking, due: 10 * id, id: id)
  }

  private func slowFloors() -> ScanCursors {
    var cursors = ScanCursors()
    for id in 1...2 { claimed(&cursors, cursors.view(start), took: long, due: 100, [1: key(Int64(id))]) }
    return cursors
  }

  private func claimed(
    _ cursors: inout ScanCursors, _ view: ScanCursors.View, took: Duration = .zero,
    look: ScanCursors.Look? = nil, due: Int64? = nil, ends: Int64? = nil,
    _ last: [Int64: ScanCursors.Key], after: Duration = .zero
  ) {
    cursors.claimed(from: view, took: took, look: look, due: due, ends: ends, last: last, start + after)
  }

  private func look(
    _ walk: Duration, ready: [Int64: ScanCursors.Key] = [:], due: Int64? = nil, ends: Int64? = nil
  ) -> ScanCursors.Look {
    ScanCursors.Look(ready: ready, due: due, ends: ends, walk: walk)
  }

  @Test func quickClaimsReadFromTheBeginning() {
    var cursors = ScanCursors()
    for _ in 0..<9 {
      let view = cursors.view(start)
      #expect(view.isWhole)
      claimed(&cursors, view, took: .milliseconds(1), due: 100, [1: key(5)])
    }
    // One slow one may be by chance.
    claimed(&cursors, cursors.view(start), took: long, due: 100, [1: key(6)])
    let after = cursors.view(start)
    #expect(after.isWhole)
  }

  @Test func slowOnesGoOnWhereTheyCameTo() {
    var cursors = slowFloors()
    let view = cursors.view(start)
    #expect(!view.isWhole && !view.looks)
    #expect(view.ready(1).text.contains("id >= 2"))
    #expect(view.ready(2).isEmpty)
    #expect(view.fromDue.text == "due >= 100 AND")
    #expect(view.fromEnds.isEmpty)
    claimed(&cursors, view, due: 120, ends: 300, [1: key(9), 2: key(1)])
    // One that began earlier does not set it back.
    claimed(&cursors, view, [1: key(4)])
    let next = cursors.view(start)
    #expect(next.ready(1).text.contains("id >= 9"))
    #expect(next.ready(2).text.contains("id >= 1"))
    #expect(next.next.text.contains("due >= 120") && next.next.text.contains("ends >= 300"))
  }

  @Test func theyExpireByTime() {
    var cursors = slowFloors()
    let looks = [
      ScanCursors.shortestPause - .milliseconds(1), ScanCursors.shortestPause, ScanCursors.shortestPause,
    ].map { cursors.view(start + $0).looks }
    #expect(looks == [false, true, false], "one claim looks for all")
  }

  @Test func theyExpireByCount() {
    var cursors = slowFloors()
    let looks = (0...ScanCursors.most).map { _ in cursors.view(start).looks }
    #expect(looks.firstIndex(of: true) == ScanCursors.most)
    let next = cursors.view(start)
    #expect(!next.looks)
  }

  @Test func theLongerALookTakesTheMoreSeldomItIsDone() {
    #expect(ScanCursors.pause(after: .milliseconds(1)) == ScanCursors.shortestPause)
    #expect(ScanCursors.pause(after: .milliseconds(20)) == .milliseconds(400))
    // Twice this, if the claim that looks fails, and the look itself, are less than 2 s.
    #expect(ScanCursors.pause(after: .milliseconds(180)) == .milliseconds(900))
    #expect(ScanCursors.pause(after: .seconds(1)) == .seconds(5))
    var cursors = slowFloors()
    let half = ScanCursors.shortestPause / 2
    let (early, late, again) = (
      cursors.mayLook(start + half - .milliseconds(1)), cursors.mayLook(start + half),
      cursors.mayLook(start + half)
    )
    #expect(!early && late && !again)
  }

  /// Claims over a slow network are slow, and bounds do not make them quick.
  @Test func boundsThatSaveNothingAreGivenUpForAWhile() {
    var cursors = slowFloors()
    claimed(
      &cursors, cursors.view(start + .seconds(1)), look: look(ScanCursors.leastWalk - .microseconds(1)),
      [1: key(3)])
    #expect(!cursors.isOn)
    for _ in 0..<3 {
      claimed(
        &cursors, cursors.view(start), took: long, [1: key(4)], after: ScanCursors.rest - .milliseconds(1))
    }
    #expect(!cursors.isOn)
    for _ in 0..<2 {
      claimed(&cursors, cursors.view(start), took: long, [1: key(4)], after: ScanCursors.rest)
    }
    #expect(cursors.isOn)
    claimed(&cursors, cursors.view(start), look: look(ScanCursors.leastWalk), [1: key(5)])
    #expect(cursors.isOn)
  }

  @Test func whatALookFindsLowersTheBounds() {
    var cursors = slowFloors()
    claimed(&cursors, cursors.view(start), due: 100, ends: 100, [1: key(9)])
    let early = cursors.view(start)
    // More than it wanted lay there: the last one that it took is the bound.
    claimed(
      &cursors, cursors.view(start), look: look(.seconds(1), ready: [1: key(3)], due: 40, ends: 50),
      [1: key(5)])
    // One that began before may have passed others.
    claimed(&cursors, early, [1: key(12)])
    var view = cursors.view(start)
    #expect(view.ready(1).text.contains("id >= 5"))
    #expect(view.fromDue.text.contains("40") && view.fromEnds.text.contains("50"))
    // Others had it locked.
    claimed(&cursors, view, look: look(.seconds(1), ready: [1: key(2)]), [:])
    view = cursors.view(start)
    #expect(view.ready(1).text.contains("id >= 2"))
  }

  @Test func jobsOfOnesOwnThatLieBelowAreFound() {
    for (ranking, old, bound) in [
      (-1, nil, "id >= -9223372036854775807 - 1"), (0, nil, "id >= 2"), (1, nil, "id >= 2"),
      (nil, key(1), "id >= 1"),
      (nil, key(7), "id >= 2"), (-1, key(1), "ranking > -1"), (0, key(1), "id >= 1"),
    ] as [(Int64?, ScanCursors.Key?, String)] {
      var (cursors, entries) = (slowFloors(), ScanCursors.Entries())
      if let ranking { entries.add(1, ranking: ranking) }
      if let old { entries.add(1, old) }
      cursors.entered(entries)
      let view = cursors.view(start)
      #expect(view.ready(1).text.replacing("(-9", with: "-9").contains(bound), "\(view.ready(1).text)")
    }
  }

  @Test func leasesOfOnesOwnThatEndEarlierAreFound() {
    var (cursors, entries) = (slowFloors(), ScanCursors.Entries())
    claimed(&cursors, cursors.view(start), ends: 500, [:])
    for end in [700, 300, 400] as [Int64] { entries.add(lease: end) }
    cursors.entered(entries)
    let view = cursors.view(start)
    #expect(view.fromEnds.text == "ends >= 300 AND")
  }

  @Test func theBestOfSeveralThatEnterCounts() {
    for rankings in [[0, -1], [-1, 0], [-1, -1, 5]] as [[Int64]] {
      var (cursors, entries) = (slowFloors(), ScanCursors.Entries())
      for ranking in rankings { entries.add(1, ranking: ranking) }
      for id in [9, 1, 5] as [Int64] { entries.add(1, key(id, ranking: 3)) }
      cursors.entered(entries)
      let view = cursors.view(start)
      #expect(view.ready(1).text.contains("ranking > -1"))
    }
  }

  /// Its claim did not see them, as they were not committed yet.
  @Test("Jobs that are enqueued while another claim reads are not passed over")
  func jobsEnqueuedDuringAClaimAreFound() {
    var cursors = slowFloors()
    claimed(&cursors, cursors.view(start), [1: key(2), 2: key(2)])
    let view = cursors.view(start)
    var entries = ScanCursors.Entries()
    entries.add(1, ranking: 0)
    cursors.entered(entries)
    claimed(&cursors, view, [1: key(9), 2: key(9)])
    var next = cursors.view(start)
    #expect(next.ready(1).text.contains("id >= 2"))
    #expect(next.ready(2).text.contains("id >= 9"))
    claimed(&cursors, next, [1: key(10)])
    next = cursors.view(start)
    #expect(next.ready(1).text.contains("id >= 10"))
  }
}
#endif
