/// What is done to a database, step by step, so that a driver and the model, which is ``MemoryDriver``, can be held against
/// each other: whatever the script, both must answer the same and hold the same.
///
///     try await ModelScript(seed: 7, count: 300).run(on: ConformanceSubject { clock in try MyDriver(path: path, clock: clock) })
///
/// A script is made from a seed, from any bytes, or from a text with a step a line. The text of one that a driver fails on is
/// what to keep as a test, once it is ``shrunk(trying:_:)``.
///
///     job key=k1 due=5s
///     insert
///     advance by=20s
///     want kind=a lease=1s
///     claim driver=second limit=1
///     outcome result=retry
///     settle
///
/// Some steps only prepare: `job` and `crowd` put jobs together for the next `insert`, or for the next `outcome` that replaces
/// its job; `want` a kind for the next claim; `outcome` what becomes of one lease in the next `settle`. Leases that no step
/// names are those of workers that died.
public struct ModelScript: Sendable, Hashable {
  /// One line of a script: what is done, and which of a few values each operand has.
  public struct Step: Sendable, Hashable {
    let verb: ModelVerb
    /// As many as the verb has; each is the place of its value in the operand's list, whose first value is the plainest.
    var operands: [UInt8]
  }

  /// In the order in which they are done.
  public var steps: [Step]

  /// These steps, which may be some of another script's.
  public init(_ steps: [Step] = []) { self.steps = steps }

  /// A script at random, always the same one for a seed.
  ///
  /// - Parameters:
  ///   - seed: any number.
  ///   - count: how many steps.
  public init(seed: UInt64, count: Int) {
    var random = Seeded(seed: seed)
    let swarm = Swarm(using: &random)
    steps = (0..<max(0, count)).map { _ in swarm.step(using: &random) }
  }

  /// What a script at random has: not all that there is, so that it does the more of what it has.
  private struct Swarm {
    private let verbs: [ModelVerb]
    /// The places of the values of each operand.
    private let values: [ModelVerb: [[UInt8]]]

    init(using random: inout Seeded) {
      let left = ModelVerb.allCases.filter {
        ![.insert, .claim].contains($0) && Int.random(in: 0..<5, using: &random) == 0
      }
      verbs = ModelVerb.dealt.filter { !left.contains($0) }
      var values: [ModelVerb: [[UInt8]]] = [:]
      for verb in verbs where values[verb] == nil {
        values[verb] = verb.operands.map { operand in
          let all = operand.values.indices.map { UInt8($0) }
          let some = all.filter { _ in Bool.random(using: &random) }
          return some.isEmpty ? all : some
        }
      }
      self.values = values
    }

    func step(using random: inout Seeded) -> Step {
      let verb = verbs[Int.random(in: 0..<verbs.count, using: &random)]
      let operands = (values[verb] ?? []).map { $0[Int.random(in: 0..<$0.count, using: &random)] }
      return Step(verb: verb, operands: operands)
    }
  }
}
