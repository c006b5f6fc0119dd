import Testing

@testable import QudoSQLite

/// Group commit's decisions, without a thread or a database.
@Suite struct CommitQueueTests {
  private var queue = CommitQueue<String>()
  private let later = Deadline.now + .seconds(60)

  @Test mutating func oneCallerIsAloneAndTheNextWaitsForIt() {
    let first = queue.enterAlone()
    let second = queue.enterAlone()
    let admission = queue.enqueue("b", until: later)
    #expect(first && !second && admission == .queued)
    let threadComes = queue.leave()
    let stillNotAlone = queue.enterAlone()
    let group = queue.takeGroup()
    let threadStays = queue.leave()
    let alone = queue.enterAlone()
    #expect(threadComes && !stillNotAlone && group == ["b"] && !threadStays && alone)
  }

  @Test("The first of many callers starts the thread, and all share one commit")
  mutating func firstCallerStartsTheThread() {
    let admissions = ["a", "b", "c"].map { queue.enqueue($0, until: later) }
    let group = queue.takeGroup()
    #expect(admissions == [.queuedFirst, .queued, .queued] && group == ["a", "b", "c"])
  }

  @Test("lets no caller commit alone while several come at a time")
  mutating func crowd() {
    _ = ["a", "b"].map { queue.enqueue($0, until: later) }
    _ = (queue.takeGroup(), queue.leave())
    let (alone, reads) = (queue.enterAlone(), queue.enterAlone(toRead: true))
    _ = queue.leave()
    let admissions = ["c", "d"].map { queue.enqueue($0, until: later) }
    let group = queue.takeGroup()
    #expect(!alone && reads && admissions == [.queuedFirst, .queued] && group == ["c", "d"])
    _ = queue.enqueue("e", until: later)
    _ = (queue.leave(), queue.takeGroup(), queue.leave())
    let aloneAgain = queue.enterAlone()
    #expect(aloneAgain, "the last one came by itself")
  }

  @Test("Work that is left starts the thread though no caller waits")
  mutating func remainingWorkStartsTheThread() {
    _ = queue.enterAlone()
    let threadComes = queue.leave(more: true)
    let alone = queue.enterAlone()
    #expect(threadComes && !alone)
  }

  @Test mutating func afterClosingOnlyWhatWaitsIsDone() {
    _ = queue.enqueue("a", until: later)
    let last = queue.close("last")
    let late = queue.enqueue("late", until: later)
    let alone = queue.enterAlone()
    let group = queue.takeGroup()
    #expect(last == .queued && late == .closed && !alone && group == ["a", "last"])
    _ = queue.leave()
    let again = queue.close("again")
    #expect(again == .queuedFirst)
  }

  @Test mutating func thoseWhoseTimeIsUpGoAndTheOthersStay() {
    let now = Deadline.now
    for (name, seconds) in [("a", 1), ("b", 3), ("c", 2)] {
      _ = queue.enqueue(name, until: now + .seconds(seconds))
    }
    _ = queue.close("last")
    let (early, expired) = (queue.takeExpired(now), queue.takeExpired(now + .seconds(2)))
    let group = queue.takeGroup()
    #expect(early == [] && expired == ["a", "c"] && group == ["b", "last"])
  }

  @Test("closes without the thread when that has waited for another process for too long")
  mutating func givenUp() {
    let now = Deadline.now
    _ = queue.enqueue("a", until: now + .seconds(1))
    _ = queue.close("last", until: now + .seconds(2))
    queue.beginWaiting()
    let (early, expired) = (queue.giveUp(now + .seconds(2)), queue.takeExpired(now + .seconds(1)))
    #expect(early == [] && expired == ["a"], "what was handed in before is answered first")
    let (tooEarly, last) = (queue.giveUp(now + .seconds(1)), queue.giveUp(now + .seconds(2)))
    let goesOn = queue.endWaiting()
    #expect(tooEarly == [] && last == ["last"] && !goesOn)
    let (again, late) = (queue.close("again", until: now), queue.enqueue("late", until: now))
    #expect(again == .closed && late == .closed)
  }

  @Test("leaves the closing to a thread that is at work")
  mutating func notGivenUp() {
    let now = Deadline.now
    _ = queue.close("last", until: now)
    queue.beginWaiting()
    let goesOn = queue.endWaiting()
    let last = queue.giveUp(now + .seconds(9))
    let group = queue.takeGroup()
    #expect(goesOn && last == [] && group == ["last"])
  }

  @Test("watches as long as the thread waits for another process, though nobody waits for it any more")
  mutating func watchedWhileWaiting() {
    _ = queue.enqueue("a", until: later)
    queue.beginWaiting()
    _ = queue.startWatching()
    _ = queue.takeExpired(later)
    let during = queue.keepWatching()
    _ = queue.endWaiting()
    let after = queue.keepWatching()
    #expect(during && !after)
  }

  @Test mutating func theyAreWatchedByOneAsLongAsAnyWaits() {
    _ = queue.enqueue("a", until: later)
    let (first, second, goesOn) = (queue.startWatching(), queue.startWatching(), queue.keepWatching())
    _ = queue.takeGroup()
    let (ends, anew) = (queue.keepWatching(), queue.startWatching())
    #expect(first && !second && goesOn && !ends && anew)
  }
}
