#if MySQL
internal import Qudo

extension Transaction {
  /// Runs the whole recover verb.
  func run(recovering jobs: [Int64]) throws(QudoError) -> [RecoverResult] {
    let results: [Int64: RecoverResult]
    if let done = try wasCommitted() {
      results = done.recovered
    } else {
      results = try recover(Set(jobs).sorted(), filter: nil)
      receipt.recovered = results
      try commit()
    }
    return jobs.map { results[$0] ?? .notFound }
  }

  /// Runs the whole recover verb for the jobs of a query.
  func run(recovering query: JobQuery) throws(QudoError) -> [RecoveredJob] {
    let results: [Int64: RecoverResult]
    if let done = try wasCommitted() {
      results = done.recovered
    } else {
      results = try self.results(matching: query) { ids throws(QudoError) in
        try recover(ids, filter: query.filter)
      }
      receipt.recovered = results
      try commit()
    }
    return results.sorted { $0.key < $1.key }.map { RecoveredJob(id: $0.key, result: $0.value) }
  }

  /// - Parameters:
  ///   - ids: The jobs, in ascending order, each once.
  ///   - filter: What a job must still meet; nil for all.
  /// - Returns: The results of the jobs that exist.
  private func recover(_ ids: [Int64], filter: JobFilter?) throws(QudoError) -> [Int64: RecoverResult] {
    var results: [Int64: RecoverResult] = [:]
    try lock(ids, fitting: filter) { jobs throws(QudoError) in
      var running: [RunningRow] = []
      for job in jobs {
        if case .running(let row) = job { running.append(row) } else { results[job.id] = .notRunning }
      }
      let messages = try marks(of: running)
      let marked = running.filter { messages[$0.id] != nil }
      let freed = running.filter { messages[$0.id] == nil }
      for row in marked { results[row.id] = .cancelled }
      for row in freed { results[row.id] = .recovered }
      try end(marked: marked, messages)
      guard !freed.isEmpty else { return }
      leaveRunning(unmarked: freed)
      enter(ready: freed)
      storeExpiries(of: freed.filter(\.mayExpire).map(\.id))
    }
    return results
  }
}
#endif
