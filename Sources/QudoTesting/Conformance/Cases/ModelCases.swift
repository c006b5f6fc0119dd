internal import Qudo

extension ConformanceSuite {
  /// The driver and the memory driver do the same at random and must answer the same.
  static let model: [ConformanceCase] = (1...20).map { seed in
    ConformanceCase("theDriverAgreesWithTheModel\(seed)", .everyJobRuns) { subject in
      let walk = try await ModelWalk(subject, seed: UInt64(seed))
      for _ in 0..<250 { try await walk.step() }
      try await walk.compare("at the end")
    }
  }
}
