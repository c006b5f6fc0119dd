#if Dashboard
internal import Qudo
internal import QudoMonitor

/// A database as the page of the databases shows it.
struct DatabaseFacts: Sendable {
  /// How many rows of a log are counted: a count of all of them would read the whole log.
  static let mostRows = 100_000

  var description: DatabaseDescription?
  var rows: LogRowCounts?
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
      case .success(let facts):
        let state = view.sample.databases.first { $0.name == answer.database }?.state
        return databaseCard(answer.database, facts, state)
      }
    }
    return page(
      "Databases", .databases,
      """
      \(head("Databases", "<p>What holds the jobs. <code>qudo doctor</code> says what is wrong with it.</p>"))\
      <section class="card">\(databaseTable(view))</section>\(cards)
      """)
  }

  private func databaseCard(_ name: String, _ facts: DatabaseFacts, _ state: DatabaseSample.DatabaseState?)
    -> HTML
  {
    func rows(_ count: Int) -> HTML {
      "\(if: count > DatabaseFacts.mostRows, "more than ")\(Figures.count(min(count, DatabaseFacts.mostRows))) \(count == 1 ? "row" : "rows")"
    }
    return """
      <section class="card"><div class="card-head"><h2>\(name) <span class="badge green">up</span></h2></div>
      <dl class="facts">\(fact("Version", facts.description.map { "\($0.version)" }))\
      \(fact("Workers that claimed jobs", facts.description?.workers.map { "\($0)" }))\
      \(fact("Open in a process", facts.description?.isOpen.map { $0 ? "yes" : "no" }))\
      \(fact("Clock", facts.description?.clock.map { "\($0.description)" }))\
      \(fact("File", state?.fileBytes.map { "\(Figures.bytes($0))" }))\
      \(fact("WAL", state?.walBytes.map { "\(Figures.bytes($0))" }))\
      \(fact("Failure log", facts.rows.map { rows($0.failures) }))\
      \(fact("Status log", facts.rows.map { rows($0.statuses) }))\
      \(fact("Failures ever", facts.rows?.failuresEver.map { "\(Figures.count($0))" }))</dl></section>
      """
  }
}
#endif
