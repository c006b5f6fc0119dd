/// Scripts as bytes, for fuzzers. Each step begins at a byte boundary, so that a fuzzer can insert, delete
/// and move steps.
extension ModelScript {
  /// Creates a script from bytes. Any bytes are valid.
  public init(bytes: some Sequence<UInt8>) {
    self.init()
    var rest = bytes.makeIterator()
    while let first = rest.next() {
      let verb = ModelVerb.dealt[Int(first) % ModelVerb.dealt.count]
      var bits: UInt64 = 0
      for place in 0..<verb.byteCount { bits |= UInt64(rest.next() ?? 0) << (8 * place) }
      steps.append(
        Step(
          verb: verb,
          operands: verb.operands.map { operand in
            defer { bits >>= operand.bits }
            return UInt8(Int(bits & (1 << operand.bits - 1)) % operand.values.count)
          }))
    }
  }

  /// The script as bytes, from which `init(bytes:)` creates the same script.
  public var bytes: [UInt8] { steps.flatMap(\.bytes) }
}

extension ModelScript.Step {
  fileprivate var bytes: [UInt8] {
    let bits = zip(verb.operands, operands).reversed().reduce(UInt64(0)) { $0 << $1.0.bits | UInt64($1.1) }
    let operands = (0..<verb.byteCount).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
    return [UInt8(ModelVerb.dealt.firstIndex(of: verb) ?? 0)] + operands
  }
}

extension ModelVerb {
  /// The number of bytes for all operands, which have at most 64 bits together.
  fileprivate var byteCount: Int { (operands.reduce(0) { $0 + $1.bits } + 7) / 8 }
}
