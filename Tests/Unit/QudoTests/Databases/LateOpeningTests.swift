import Logging
import ForwardingDriver
import Qudo
import QudoTesting
import Testing

@Suite struct LateOpeningTests {
  /// Tells whether it was closed.
  private struct Closing: PlainForwardingDriver {
    let base: any Driver
    let closed = Locked(0)
    func close() async { closed.withLock { $0 += 1 } }
  }

  private let clock = ManualClock()

  /// The first opening is over when the task is resumed, the others at once.
  private func databases(_ openings: Locked<[CheckedContinuation<Void, Never>]>, _ drivers: [Closing]) throws
    -> Databases
  {
    let count = Locked(0)
    var options = DatabaseOptions()
    options.clock = clock
    options.logger.logLevel = .critical
    return try Databases(
      [
        Databases.Source("a") { () async throws(QudoError) in
          let number = count.withLock { count in
            count += 1
            return count
          }
          if number == 1 {
            await withCheckedContinuation { waiter in openings.withLock { $0.append(waiter) } }
          }
          return drivers[min(number, drivers.count) - 1]
        }
      ], options: options)
  }

  private func drivers(_ count: Int) -> [Closing] {
    (0..<count).map { _ in Closing(base: MemoryDriver(name: "a", clock: clock)) }
  }

  /// An enqueue that does not wait for the first opening any more.
  private func giveUp(_ databases: Databases, _ openings: Locked<[CheckedContinuation<Void, Never>]>) async {
    let enqueue = Task { try await Queue(databases).enqueue(NewJob("a")) }
    while openings.withLock({ $0.isEmpty }) { await Task.yield() }
    await clock.sleepers(atLeast: 2)
    clock.advance(by: .seconds(10))
    await #expect(throws: QudoError.self) { try await enqueue.value }
  }

  @Test("closes the driver of an opening that comes after another one", .timeLimit(.minutes(5))) func loser()
    async throws
  {
    let (openings, drivers) = (Locked<[CheckedContinuation<Void, Never>]>([]), drivers(2))
    let databases = try databases(openings, drivers)
    await giveUp(databases, openings)
    while (try? await Queue(databases).enqueue(NewJob("a"))) == nil { clock.advance(by: .seconds(30)) }
    openings.withLock { $0[0] }.resume()
    while drivers[0].closed.withLock({ $0 }) == 0 { await Task.yield() }
    #expect(databases.opened.map { $0.doorbell === drivers[1].doorbell } == [true])
    #expect(drivers[1].closed.withLock { $0 } == 0)
    await databases.close()
    #expect(drivers.map { $0.closed.withLock { $0 } } == [1, 1])
  }

  @Test("closes the driver of an opening that comes after the closing", .timeLimit(.minutes(5)))
  func afterClosing() async throws {
    let (openings, drivers) = (Locked<[CheckedContinuation<Void, Never>]>([]), drivers(1))
    let databases = try databases(openings, drivers)
    await giveUp(databases, openings)
    await databases.close()
    openings.withLock { $0[0] }.resume()
    while drivers[0].closed.withLock({ $0 }) == 0 { await Task.yield() }
  }
}
