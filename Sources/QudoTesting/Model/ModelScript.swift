/// A sequence of steps for comparing a driver with the model, ``MemoryDriver``. For every script, both must
/// give the same answers and have the same contents.
///
///     let subject = ConformanceSubject { clock in try MyDriver(path: path, clock: clock) }
///     try await ModelScript(seed: 7, count: 300).run(on: subject)
///
/// Create a script from a seed, from any bytes, or from text with one step per line. If a driver fails on a
/// script, shrink it with ``shrunk(trying:_:)`` and keep its text as a test.
///
///     job key=k1 due=5s
///     insert
///     advance by=20s
///     want kind=a lease=1s
///     claim driver=second limit=1
///     outcome result=retry
///     settle
///
/// Some steps only prepare a later one: `job` and `crowd` collect jobs for the next `insert`, or for the next
/// `outcome` with replacements. `want` adds a kind to the next claim, and `outcome` adds the outcome of one
/// lease to the next `settle`. Leases that no step uses simulate workers that died.
public struct ModelScript: Sendable, Hashable {
  /// One line of a script: a verb and its operands.
  public struct Step: Sendable, Hashable {
    let verb: ModelVerb
    /// One number per operand of the verb: the index of the value in the operand's list, which begins with
    /// the simplest.
    var operands: [UInt8]
  }

  /// The steps in the order of execution.
  public var steps: [Step]

  /// Creates a script from steps, for example from those of another script.
  public init(_ steps: [Step] = []) { self.steps = steps }

  /// Creates a random script, always the same one for a seed.
  ///
  /// - Parameters:
  ///   - seed: any number.
  ///   - count: the number of steps.
  public init(seed: UInt64, count: Int) {
    var random = Seeded(seed: seed)
    let swarm = Swarm(using: &random)
    steps = (0..<max(0, count)).map { _ in swarm.step(using: &random) }
  }

  /// The verbs and values of one random script. It uses only a subset of all, and those more often ("swarm
  /// testing").
  private struct Swarm {
    private let verbs: [ModelVerb]
    /// The indices of the values of each operand.
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
