extension ConformanceSuite {
  /// Runs the same random verbs on the driver and on the memory driver, which must give the same answers.
  static let model: [ConformanceCase] = (1...20).map { seed in
    ConformanceCase("theDriverAgreesWithTheModel\(seed)", .everyJobRuns) { subject in
      let script = ModelScript(seed: UInt64(seed), count: 400)
      do {
        try await script.run(on: subject)
      } catch let failure as ConformanceFailure {
        let advice = "ModelScript(seed: \(seed), count: 400).shrunk(_:) finds the steps that matter"
        throw ConformanceFailure(
          file: failure.file, line: failure.line, message: "\(failure.message)\n\(advice)")
      }
    }
  }
}
