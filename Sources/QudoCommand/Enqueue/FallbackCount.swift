internal import Qudo
internal import QudoMySQL

/// Counts the jobs that went to another database because a preferred one was unavailable.
struct FallbackCount {
  private let databases: Databases
  private let urls: [DatabaseURL]
  private let order: DatabaseOptions.Order
  private var counts: [String: Int] = [:]
  private var missing: Set<String> = []

  init(_ databases: Databases, _ urls: [DatabaseURL], _ order: DatabaseOptions.Order) {
    (self.databases, self.urls, self.order) = (databases, urls, order)
  }

  /// Counts the results of an enqueue. Call it right after, while the states still show which databases were
  /// unavailable.
  mutating func add(_ results: [EnqueueResult]) {
    guard urls.count > 1, let database = results.first?.id.database else { return }
    let states = databases.states
    guard let place = states.firstIndex(where: { $0.database == database }) else { return }
    let preferred = order == .ordered ? states[..<place] : states[...]
    let away = preferred.filter { $0.status == .unavailable || $0.status == .probing }.map(\.database)
    guard !away.isEmpty else { return }
    missing.formUnion(away)
    counts[database, default: 0] += results.count { if case .conflict = $0 { false } else { true } }
  }

  /// One line per database that received such jobs.
  var lines: [String] {
    zip(databases.names, urls).compactMap { name, url in
      guard let count = counts[name], count > 0 else { return nil }
      let place = SafeText.terminalSafe("\(url)")
      let others = missing.sorted().map { SafeText.terminalSafe($0) }.joined(separator: ", ")
      let jobs = count == 1 ? "1 job" : "\(count) jobs"
      return """
        \(jobs) went to \(place), because \(others) could not be used; \(count == 1 ? "it stays" : "they stay") there until a worker \
        with --database \(place) runs \(count == 1 ? "it" : "them")
        """
    }
  }
}
