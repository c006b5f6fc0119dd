extension ModelScript: CustomStringConvertible {
  /// The script as text, with one line per step. Operands with their simplest value are omitted.
  public var description: String { steps.map { "\($0)\n" }.joined() }

  /// Parses a script. Ignores empty lines and lines that begin with `#`.
  ///
  /// - Throws: ``ConformanceFailure`` with the first invalid line.
  public init(parsing text: some StringProtocol) throws {
    self.init()
    for line in text.split(whereSeparator: { $0.isNewline }) where !line.hasPrefix("#") {
      let words = line.split { $0 == " " }.map { String($0) }
      if let first = words.first { steps.append(try Step(first, words.dropFirst(), line: String(line))) }
    }
  }
}

extension ModelScript.Step: CustomStringConvertible {
  /// The verb, then `name=value` for each operand without its simplest value.
  public var description: String {
    zip(verb.operands, operands).reduce(into: verb.rawValue) { text, pair in
      let value = pair.0.values[Int(pair.1)]
      if value != pair.0.values[0] { text += " \(pair.0.name)=\(value)" }
    }
  }

  fileprivate init(_ name: String, _ rest: some Sequence<String>, line: String) throws {
    verb = try require(ModelVerb(rawValue: name), "a verb of a script in “\(line)”")
    operands = verb.operands.map { _ in 0 }
    for word in rest {
      let parts = word.split(maxSplits: 1) { $0 == "=" }.map { String($0) }
      let index = try require(
        verb.operands.firstIndex { $0.name == parts[0] }, "an operand of “\(verb.rawValue)” in “\(line)”")
      let value = try require(
        verb.operands[index].values.firstIndex { $0 == parts.last }, "a value of “\(parts[0])” in “\(line)”")
      operands[index] = UInt8(value)
    }
  }
}
