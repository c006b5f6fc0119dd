import FaultyDisk
import QudoSQLite
import QudoTesting

extension FaultRun {
  static func random(_ seed: UInt64) -> FaultRun {
    var random = RandomCalls(seed: seed)
    let before = [.enqueue(["first"])] + random.calls(4)
    let steps = random.calls(12)
    let scenario = Scenario(name: "random calls", before: before, steps: steps)
    let way = FaultKind.all[Int.random(in: 0..<FaultKind.all.count, using: &random.generator)]
    let durability = way.durabilities.randomElement(using: &random.generator) ?? .full
    return way.trial(scenario, durability, at: Int.random(in: 1...90, using: &random.generator), seed: seed)
  }
}

/// Calls that make sense one after the other, if all goes well.
private struct RandomCalls {
  var generator: Seeded
  private var ready: [String] = ["first"]
  private var held: [String] = []
  private var next = 0

  init(seed: UInt64) { generator = Seeded(seed: seed) }

  mutating func calls(_ count: Int) -> [Step] { (0..<count).map { _ in call() } }

  private mutating func names(_ counts: ClosedRange<Int>) -> [String] {
    (0..<Int.random(in: counts, using: &generator)).map { _ in
      next += 1
      return "j\(next)"
    }
  }

  private mutating func call() -> Step {
    switch Int.random(in: 0..<22, using: &generator) {
    case 0..<6:
      let names = names(1...5)
      ready += names
      return .enqueue(names)
    case 6..<10: return .claim(claimed(Int.random(in: 1...3, using: &generator)))
    case 10..<16: return settle()
    case 16: return held.randomElement(using: &generator).map { .extend($0) } ?? .claim(claimed(1))
    case 17: return .prune
    case 18: return Bool.random(using: &generator) ? .compact : .replay
    case 19: return .reopen
    case 20:
      ready = []
      return .cancelReady
    default: return Bool.random(using: &generator) ? .pause("b") : .resume
    }
  }

  private mutating func claimed(_ count: Int) -> Int {
    held += ready.prefix(count)
    ready.removeFirst(min(count, ready.count))
    return count
  }

  private mutating func settle() -> Step {
    var endings: [String: Step.Ending] = [:]
    for job in held.shuffled(using: &generator).prefix(Int.random(in: 1...3, using: &generator)) {
      endings[job] = ending()
    }
    // Jobs that wait again at the same time are claimed by their ids, which are not known here.
    let waiting = endings.keys.filter { endings[$0] == .retried }
    if !waiting.isEmpty { endings = endings.filter { $0.key == waiting.min() } }
    held.removeAll { endings[$0] != nil }
    for job in endings.keys.sorted() {
      if case .completed(let replacements) = endings[job] { ready += replacements }
      if case .retried = endings[job] { ready.append(job) }
    }
    return .settle(endings, claiming: claimed(Int.random(in: 0...2, using: &generator)))
  }

  private mutating func ending() -> Step.Ending {
    switch Int.random(in: 0..<6, using: &generator) {
    case 0, 1: .completed([])
    case 2, 3: .completed(names(1...2))
    case 4: .retried
    default: Bool.random(using: &generator) ? .failed : .aborted
    }
  }
}
