#if MySQL
internal import Qudo

extension Transaction {
  /// Runs the whole recover verb.
  func run(recovering jobs: [Int64]) throws(QudoError) -> [RecoverResult] {
    let results: [Int64: RecoverResult]
    if let done = try wasCommitted() {
      results = done.recovered
    } else {
      results = try recover(Set(jobs).sorted())
      receipt.recovered = results
      try commit()
    }
    return jobs.map { results[$0] ?? .notFound }
  }

  /// - Parameter ids: The jobs, in ascending order, each once.
  /// - Returns: The results of the jobs that exist.
  private func recover(_ ids: [Int64]) throws(QudoError) -> [Int64: RecoverResult] {
    var results: [Int64: RecoverResult] = [:]
    try lock(ids, fitting: nil) { jobs throws(QudoError) in
      var running: [RunningRow] = []
      for job in jobs {
        if case .running(let row) = job { running.append(row) } else { results[job.id] = .notRunning }
      }
      let messages = try marks(of: running)
      let marked = running.filter { messages[$0.id] != nil }
      let freed = running.filter { messages[$0.id] == nil }
      for row in marked { results[row.id] = .cancelled }
      for row in freed { results[row.id] = .recovered }
      end(marked: marked, messages)
      guard !freed.isEmpty else { return }
      leaveRunning(unmarked: freed)
      enter(ready: freed)
    }
    return results
  }
}
#endif
