import Foundation
import Qudo
import TestSupport
import Testing

@testable import QudoSQLite

/// The pauses of a bulk verb, without a clock; and that a bulk verb without other writers makes none.
@Suite struct BulkPaceTests {
  @Test("others get most of the time, and a caller waits no longer than a second") func pauses() {
    func pause(_ took: Duration, hasMore: Bool = true, hasOthers: Bool = true) -> Duration? {
      BulkPace.pause(after: took, hasMore: hasMore, hasOthers: hasOthers)
    }
    #expect(pause(.milliseconds(5)) == .milliseconds(40))
    #expect(pause(.milliseconds(5), hasMore: false) == nil)
    #expect(pause(.milliseconds(5), hasOthers: false) == nil)
    #expect(pause(.seconds(3)) == .seconds(1))
    // Without the checkpoints, a writer that never pauses keeps more than this.
    let share = Double(BulkPace.partOfOthers) / Double(BulkPace.partOfOthers + 1)
    #expect(share > 0.85)
  }

  @Test("a page of a bulk verb is one transaction of its own") func pages() async throws {
    let file = try TemporaryFile()
    let driver = try SQLiteDriver(path: file.path)
    _ = try await driver.insert((0..<2500).map { _ in NewJob("a") })
    let queue = Queue(driver)
    let pages = Locked<[Int]>([])
    let count = try await queue.cancel(matching: JobFilter(kinds: ["a"])) { jobs in
      pages.withLock { $0.append(jobs.count) }
    }
    #expect(count == 2500 && pages.withLock { $0 } == [1000, 1000, 500])
    await queue.close()
  }
}
