import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

@Suite struct FileWatchTests {
  @Test("hears of a death also where the system has no watch to give", .timeLimit(.minutes(5))) func polls()
    async throws
  {
    let file = try TemporaryFile()
    let driver = try file.open(clock: SystemClock())
    let watch = FileWatch(path: file.path + "-wal", polls: true)
    let (changes, told) = AsyncStream<Void>.makeStream()
    let hasDied = Locked(false)
    watch.onChange { told.yield() }
    // Nobody writes to the file.
    watch.onClose { hasDied.withLock { $0 } }
    watch.setActive(true)
    hasDied.withLock { $0 = true }
    var all = changes.makeAsyncIterator()
    #expect(await all.next() != nil)
    watch.setActive(false)
    await driver.close()
  }

  @Test("where it polls, a second write in one tick of the kernel's clock is reported, and then nothing")
  func oneTick() {
    var polled = FileWatch.PolledFile([1, 2])
    // The file may have been written after the look that saw the change.
    let reported = [[1, 2], [1, 3], [1, 3], [1, 3], [1, 3]].map { polled.changes(to: $0) }
    #expect(reported == [false, true, true, false, false])
  }

  @Test(
    "each write is reported, also one during a pause, for which the kernel may report nothing",
    .timeLimit(.minutes(5)), arguments: [1, 4, 10])
  func pauses(length pause: Int) async throws {
    let file = try TemporaryFile()
    try Data().write(to: URL(fileURLWithPath: file.path))
    let writer = try #require(FileHandle(forWritingAtPath: file.path))
    let watch = FileWatch(path: file.path)
    let (reports, told) = AsyncStream<UInt64>.makeStream()
    watch.onChange(
      { told.yield((try? Data(contentsOf: URL(fileURLWithPath: file.path))).map { UInt64($0.count) } ?? 0) },
      pause: { pause })
    watch.setActive(true)
    var all = reports.makeAsyncIterator()
    for length in 1...100 as ClosedRange<UInt64> {
      try writer.write(contentsOf: [0])
      while try #require(await all.next()) < length {}
    }
    watch.setActive(false)
    try writer.close()
  }
}
