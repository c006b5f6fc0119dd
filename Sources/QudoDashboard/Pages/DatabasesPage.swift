#if Dashboard
internal import Qudo

/// A database as the page of the databases shows it.
struct DatabaseFacts: Sendable {
  var description: DatabaseDescription?
  var sizes: DatabaseSizes?
}

extension Shell {
  func databasesPage(_ view: LiveView, _ answers: [DatabaseAnswer<DatabaseFacts>], _ states: [DatabaseState])
    -> HTML
  {
    let cards = answers.map { answer -> HTML in
      switch answer.result {
      case .failure(let error):
        let probe = states.first { $0.database == answer.database }?.timeUntilProbe
        let again: HTML? = probe.map { "<p class=\"sub\">It is tried again in \(Figures.duration($0)).</p>" }
        return
          "<section class=\"card\"><div class=\"card-head\"><h2>\(answer.database) <span class=\"badge red\">down</span></h2></div><div class=\"card-body\"><p>\(error.description)</p>\(again)</div></section>"
      case .success(let facts): return databaseCard(answer.database, facts)
      }
    }
    return page(
      "Databases", .databases,
      """
      \(head("Databases", "<p>What holds the jobs. <code>qudo doctor</code> says what is wrong with it.</p>"))\
      <section class="card">\(databaseTable(view))</section>\(cards)
      """)
  }

  private func databaseCard(_ name: String, _ facts: DatabaseFacts) -> HTML {
    let failures = facts.sizes?.failures.values.reduce(0, +)
    let statuses = facts.sizes?.statuses.values.reduce(0, +)
    return """
      <section class="card"><div class="card-head"><h2>\(name) <span class="badge green">up</span></h2></div>
      <dl class="facts">\(fact("Version", facts.description.map { "\($0.version)" }))\
      \(fact("Workers that claimed jobs", facts.description?.workers.map { "\($0)" }))\
      \(fact("Open in a process", facts.description?.isOpen.map { $0 ? "yes" : "no" }))\
      \(fact("Clock", facts.description?.clock.map { "\($0.description)" }))\
      \(fact("File", facts.sizes?.fileBytes.map { "\(Figures.bytes($0))" }))\
      \(fact("WAL", facts.sizes?.walBytes.map { "\(Figures.bytes($0))" }))\
      \(fact("Failure log", failures.map { "\(Figures.count($0)) rows" }))\
      \(fact("Status log", statuses.map { "\(Figures.count($0)) rows" }))\
      \(fact("Failures ever", facts.sizes?.failuresEver.map { "\(Figures.count($0))" }))</dl></section>
      """
  }
}
#endif
