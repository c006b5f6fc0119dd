@testable import QudoCommand
import QudoMonitor
import Testing

/// What waits for the loop of `qudo top`.
@Suite struct EventQueueTests {
  private let queue = EventQueue()

  private func key(_ character: Character) { queue.add(.terminal(.key(.character(character)))) }

  /// Takes the next event, in words.
  private func next() async -> String {
    switch await queue.next() {
    case .terminal(.key(.character(let character))): "\(character)"
    case .terminal(.key(let key)): "\(key)"
    case .terminal(.resize(let size)): "\(size.columns)x\(size.rows)"
    case .terminal(.closed): "closed"
    case .state(.sample(let sample)): "sample \(sample.sinceBoot)"
    case .state: "state"
    }
  }

  @Test("events come in their order, also to one who waits") func order() async {
    key("a")
    queue.add(.state(.changed(.success("done"))))
    key("b")
    for expected in ["a", "state", "b"] { #expect(await next() == expected) }
    async let late = next()
    for _ in 0..<100 { await Task.yield() }
    queue.add(.terminal(.closed))
    #expect(await late == "closed")
  }

  @Test("keys that nobody takes are lost, and nothing else is") func bound() async {
    for _ in 0..<10_000 { key("j") }
    queue.add(.terminal(.resize(ScreenSize(80, 24))))
    queue.add(.state(.changed(.success("done"))))
    queue.add(.terminal(.closed))
    for _ in 0..<EventQueue.mostKeys { #expect(await next() == "j") }
    for expected in ["80x24", "state", "closed"] { #expect(await next() == expected) }
    key("k")
    #expect(await next() == "k", "there is room again")
  }

  @Test("of sizes and samples, the newest one waits") func newest() async {
    for number in 1...1000 {
      queue.add(.terminal(.resize(ScreenSize(number, 1))))
      var sample = TopSamples.busy()
      sample.sinceBoot = Int64(number)
      queue.add(.state(.sample(sample)))
    }
    key("k")
    for expected in ["1000x1", "sample 1000", "k"] { #expect(await next() == expected) }
  }

  @Test("Ctrl-C does not wait for the keys before it") func leaves() async {
    for _ in 0..<1000 { key("j") }
    queue.add(.state(.changed(.success("done"))))
    queue.add(.terminal(.key(.control("c"))))
    #expect(await next() == "state")
    #expect(await next() == "control(\"c\")")
    for _ in 0..<EventQueue.mostKeys { key("j") }
    for _ in 0..<EventQueue.mostKeys { #expect(await next() == "j") }
  }
}
