extension ModelScript {
  /// Returns a short script that fails too: without unnecessary steps and with the simplest operands.
  ///
  /// - Parameters:
  ///   - most: the maximum number of tries. Default 2,000.
  ///   - fails: returns true if a script fails. It must use a fresh database each time.
  public func shrunk(trying most: Int = 2000, _ fails: (ModelScript) async throws -> Bool) async rethrows
    -> ModelScript
  {
    var shrinking = Shrinking(script: self, left: most)
    var before: ModelScript?
    while before != shrinking.script, shrinking.left > 0 {
      before = shrinking.script
      try await shrinking.dropSteps(fails)
      try await shrinking.simplifyOperands(fails)
    }
    return shrinking.script
  }

  private struct Shrinking {
    var script: ModelScript
    var left: Int

    /// Drops halves first, then ever shorter sequences, starting at the end.
    mutating func dropSteps(_ fails: (ModelScript) async throws -> Bool) async rethrows {
      var length = max(1, script.steps.count / 2)
      while true {
        var end = script.steps.count
        while end > 0 {
          var shorter = script
          shorter.steps.removeSubrange(max(0, end - length)..<end)
          end -= length
          try await take(shorter, fails)
        }
        guard length > 1 else { return }
        length /= 2
      }
    }

    mutating func simplifyOperands(_ fails: (ModelScript) async throws -> Bool) async rethrows {
      for step in script.steps.indices {
        for operand in script.steps[step].operands.indices {
          for value in 0..<script.steps[step].operands[operand] {
            var simpler = script
            simpler.steps[step].operands[operand] = value
            if simpler.steps[step].description != script.steps[step].description,
              try await take(simpler, fails)
            {
              break
            }
          }
        }
      }
    }

    @discardableResult
    private mutating func take(_ other: ModelScript, _ fails: (ModelScript) async throws -> Bool)
      async rethrows -> Bool
    {
      guard left > 0 else { return false }
      left -= 1
      guard try await fails(other) else { return false }
      script = other
      return true
    }
  }
}
