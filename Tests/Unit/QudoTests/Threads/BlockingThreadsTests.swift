import Foundation
import Testing

@testable import Qudo

@Suite struct BlockingThreadsTests {
  @Test("makes one thread per run, uses them again, and lets them go", .timeLimit(.minutes(5))) func threads()
    async
  {
    let threads = BlockingThreads(idleTime: .milliseconds(20))
    for _ in 0..<3 {
      let (arrived, go) = (Locked(0), DispatchSemaphore(value: 0))
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<40 {
          group.addTask {
            await threads.run {
              // The last one lets all go: if they were not there at once, this would not end.
              if arrived.withLock({
                $0 += 1; return $0
              }) == 40 {
                for _ in 0..<40 { go.signal() }
              }
              Self.wait(go)
            }
          }
        }
      }
      #expect(threads.count <= 40)
    }
    while threads.count > 0 { await Task.yield() }
    #expect(await threads.run { await threads.run { 7 } } == 7)
  }

  @Test("runs child tasks on its threads, and comes back to the caller's") func children() async {
    let threads = BlockingThreads()
    let names = await threads.run { () async -> [Bool] in
      async let child = Self.isOfQudo()
      return [await child, await Self.isOfQudo()]
    }
    #expect(names == [true, true])
    #expect(await !Self.isOfQudo())
  }

  private static func wait(_ semaphore: DispatchSemaphore) { semaphore.wait() }

  /// Whether this runs on threads of a worker's own.
  private static func isOfQudo() async -> Bool { withUnsafeCurrentTask { $0?.unownedTaskExecutor } != nil }
}
