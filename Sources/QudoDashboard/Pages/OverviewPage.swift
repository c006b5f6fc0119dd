#if Dashboard
internal import Qudo
internal import QudoMonitor

extension Shell {
  /// The kinds that are listed at most. More are on the page of the jobs.
  private static let mostKinds = 200

  /// - Parameter parts: See ``overviewParts(_:)``.
  func overviewPage(_ parts: HTML) -> HTML {
    page("Overview", .overview, live: .overview, "\(head("Overview", aside: Self.live))\(parts)\n")
  }

  /// The parts that live updates replace.
  func overviewParts(_ view: LiveView) -> HTML {
    """
    <div id="live-notes">\(notes(view))</div>
    <div id="live-tiles">\(tiles(view))</div>
    <div id="live-charts">\(charts(view))</div>
    <section class="card" aria-labelledby="kinds-title" id="live-kinds">\(kinds(view.kindRows))</section>
    <section class="card" aria-labelledby="databases-title" id="live-databases">\(databaseSection(view))</section>
    """
  }

  // MARK: Notes

  private func notes(_ view: LiveView) -> HTML {
    view.sample.databases.map { database -> HTML in
      if let error = database.error { return failureNote(database.name, error) }
      guard let state = database.state else { return .empty }
      let of: HTML = isSeveral ? " in \(database.name)" : .empty
      if let pause = state.pause {
        let reason: HTML? = pause.reason.map { ": \($0)" }
        let end: HTML = pause.endsAt.map { " It ends \(HTML.time($0, now))." } ?? .empty
        return """
          <div class="note warn-note"><p><strong>Everything is paused\(of)</strong>\(reason).\(end) \
          \(button(ChangeOrder(.resume)))</p></div>
          """
      }
      guard state.hasWorker == false, state.ready > 0 else { return .empty }
      return """
        <div class="note warn-note"><p><strong>No worker looks for jobs\(of).</strong> \
        \(Figures.count(state.ready)) wait: start one with <code>qudo work</code>.</p></div>
        """
    }.joined()
  }

  // MARK: Tiles

  private func tiles(_ view: LiveView) -> HTML {
    let states = view.sample.databases.compactMap(\.state)
    func sum(_ figure: (DatabaseSample.DatabaseState) -> Int) -> Int { states.reduce(0) { $0 + figure($1) } }
    func rate(_ figure: (DatabaseSample.DatabaseState) -> Double?) -> Double? {
      let values = states.compactMap(figure)
      return values.isEmpty ? nil : values.reduce(0, +)
    }
    func tile(_ name: String, _ color: String, _ value: String, _ sub: HTML) -> HTML {
      """
      <div class="tile"><dt><span class="key \(color)" aria-hidden="true"></span>\(name)</dt><dd>\(value)</dd><dd class="sub">\(sub)</dd></div>
      """
    }
    let (ready, delayed, running) = (sum(\.ready), sum(\.delayed), sum(\.running))
    let failures = sum(\.failuresInMinute)
    let oldest = states.compactMap(\.oldestReady).max()
    let processes = sum { state in state.workers.count { $0.processID != nil } }
    let (enqueued, ended) = (rate(\.enqueuedPerSecond), rate(\.endedPerSecond))
    let isMore = states.contains(where: \.hasMoreFailures)
    let oldestWords: HTML = oldest.map { "oldest waits \(Figures.duration($0))" } ?? "none waits"
    let runners =
      processes == 0 ? "no process has any" : "in \(processes) process\(processes == 1 ? "" : "es")"
    let held = sum(\.held)
    let waiters = held == 0 ? "due later" : "due later; \(Figures.count(held)) held behind a key"
    let wait = "counted at the next sample"
    return """
      <p class="hidden" id="summary">\(Figures.count(ready)) jobs ready, \(Figures.count(delayed)) delayed, \
      \(Figures.count(running)) running, \(Figures.count(failures)) failures in the last minute.</p>
      <dl class="tiles">\(tile("Ready", "blue", Figures.count(ready), oldestWords))\
      \(tile("Delayed", "violet", Figures.count(delayed), "\(waiters)"))\
      \(tile("Running", "green", Figures.count(running), "\(runners)"))\
      \(tile("Failures", "red", Figures.count(failures) + (isMore ? "+" : ""), "in the last minute"))\
      \(tile("Enqueued", "teal", enqueued.map(Figures.rate) ?? "–", "\(enqueued == nil ? wait : "since the last sample")"))\
      \(tile("Ended", "amber", ended.map(Figures.rate) ?? "–", "\(ended == nil ? wait : "completed or failed")"))</dl>
      """
  }

  // MARK: Charts

  private func charts(_ view: LiveView) -> HTML {
    let history = view.history
    let times = history.samples.map { Double($0.sinceBoot) / 1_000_000 }
    func series(
      _ name: String, _ color: String, dashed: Bool = false,
      _ figure: (DatabaseSample.DatabaseState) -> Double?
    )
      -> LineChart.Series
    {
      LineChart.Series(name: name, color: color, isDashed: dashed, values: history.series(nil, figure))
    }
    /// The slowest kind's percentile of any database, in seconds.
    func latency(
      _ name: String, _ color: String, dashed: Bool = false, _ percentiles: (KindSample) -> Percentiles?,
      _ figure: (Percentiles) -> Duration
    ) -> LineChart.Series {
      LineChart.Series(
        name: name, color: color, isDashed: dashed,
        values: history.samples.map { sample in
          sample.databases.lazy.compactMap(\.state).flatMap(\.kinds).compactMap(percentiles).map {
            max(Double(figure($0).wholeMicroseconds) / 1_000_000, 0.000_001)
          }.max()
        })
    }
    let wait: HTML = "Lines appear after the second sample, a few seconds after the page was opened."
    let depth = LineChart(
      id: "depth", title: "Jobs in the queue", about: "The number of unfinished jobs by state.", times: times,
      series: [
        series("ready", "blue") { Double($0.ready) }, series("delayed", "violet") { Double($0.delayed) },
        series("running", "green") { Double($0.running) },
      ], format: { Figures.short($0) }, isWhole: true, empty: wait)
    let rates = LineChart(
      id: "rates", title: "Jobs per second", about: "How many jobs were enqueued, ended and failed.",
      times: times,
      series: [
        series("enqueued", "teal") { $0.enqueuedPerSecond },
        series("ended", "amber", dashed: true) { $0.endedPerSecond },
        series("failures", "red") { $0.failuresPerSecond },
      ], format: { $0 == 0 ? "0" : Figures.rate($0) }, empty: wait)
    let latencies = LineChart(
      id: "latencies", title: "Latency of the slowest kind",
      about: "How long jobs waited and ran, in the slowest kind.",
      times: times,
      series: [
        latency("wait 50 %", "blue", dashed: true, \.waitTime, \.p50),
        latency("wait 99 %", "blue", \.waitTime, \.p99),
        latency("run 50 %", "green", dashed: true, \.runTime, \.p50),
        latency("run 99 %", "green", \.runTime, \.p99),
      ],
      format: { Figures.duration(.microseconds(Int64(min($0, 1e9) * 1_000_000))) }, isLogarithmic: true,
      empty:
        "<p>Waits appear when jobs run; run times when kinds record their status (<code class=\"nowrap\">qudo work --record</code>).</p>"
    )
    return "<div class=\"charts\">\(depth.html)\(rates.html)\(latencies.html)</div>"
  }

  // MARK: Kinds

  private func kinds(_ rows: [KindRow]) -> HTML {
    let all = "<p>\(Figures.count(rows.count)) \(rows.count == 1 ? "kind" : "kinds")</p>" as HTML
    let pauseAll: HTML =
      button(ChangeOrder(.pause)).isEmpty
      ? .empty : "<span class=\"buttons\">\(button(ChangeOrder(.pause)))</span>"
    let title: HTML =
      "<div class=\"card-head\"><h2 id=\"kinds-title\">Kinds</h2>\(if: rows.isEmpty, .empty, else: all)\(pauseAll)</div>"
    guard !rows.isEmpty else {
      return
        "\(title)\(empty("No jobs", "Enqueue one with <code>qudo enqueue KIND PAYLOAD</code>, or in Swift with <code>queue.enqueue(…)</code>."))"
    }
    let shown =
      rows.count <= Self.mostKinds
      ? rows : Array(rows.sorted { $0.figures.unfinished > $1.figures.unfinished }.prefix(Self.mostKinds))
    let head: HTML = """
      <th scope="col">Kind</th><th scope="col" class="num">Ready</th><th scope="col" class="num">Delayed</th>\
      <th scope="col" class="num">Running</th><th scope="col" class="num">Oldest</th>\
      <th scope="col">Unfinished</th><th scope="col" class="num">Completed</th>\
      <th scope="col" class="num">Failed, 1 min</th><th scope="col" class="num">Wait 50, 99 %</th>\
      <th scope="col" class="num">Run 50, 99 %</th>\(if: allowsChanges, "<th scope=\"col\"><span class=\"hidden\">Change</span></th>")
      """
    let more: HTML =
      rows.count > shown.count
      ? "<p class=\"pager\">The \(shown.count) kinds with the most jobs are shown.</p>" : .empty
    return "\(title)\(table("Kinds of jobs", head, shown.map(kindRow), class: "fold dense wide-name"))\(more)"
  }

  private func kindRow(_ row: KindRow) -> HTML {
    let kind = row.figures
    let isPaused: HTML =
      if let pause = kind.pause {
        " <span class=\"badge amber\" title=\"\(pause.reason ?? "no reason given")\">paused</span>"
      } else if kind.isPaused {
        " <span class=\"badge amber\">paused</span>"
      } else {
        .empty
      }
    let oldest: HTML = kind.oldestReady.map { "\(Figures.duration($0))" } ?? .none
    let completed: HTML =
      kind.completedPerSecond.map { $0 == 0 ? "<span class=\"zero\">0/s</span>" : "\(Figures.rate($0))" }
      ?? .none
    let action =
      kind.pause != nil
      ? ChangeOrder(.resume, name: kind.kind.name) : ChangeOrder(.pause, name: kind.kind.name)
    let held: HTML =
      kind.held.map { held in
        "<br><a class=\"sub\" href=\"\(link("jobs", ["kind": kind.kind.name, "state": "held"]))\">\(Figures.count(held)) held</a>"
      } ?? .empty
    let failures: HTML =
      kind.failuresInMinute == 0
      ? "<span class=\"zero\">0</span>"
      : "<a class=\"bad\" href=\"\(link("failures", ["kind": kind.kind.name]))\">\(Figures.count(kind.failuresInMinute))</a>"
    return """
      <tr><th scope="row" class="name full">\(self.kind(kind.kind))\(isPaused)</th>\
      <td class="num" data-label="Ready">\(figure(kind.ready))\(held)</td><td class="num" data-label="Delayed">\(figure(kind.delayed))</td>\
      <td class="num" data-label="Running">\(figure(kind.running))</td><td class="num" data-label="Oldest">\(oldest)</td>\
      <td data-label="Unfinished" class="nowrap">\(Sparkline.html(row.depth, color: "blue")) \(change(kind.changePerSecond))</td>\
      <td class="num" data-label="Completed">\(completed)</td><td class="num" data-label="Failed, 1 min">\(failures)</td>\
      <td class="num" data-label="Wait 50, 99 %">\(percentiles(kind.waitTime))</td>\
      <td class="num" data-label="Run 50, 99 %">\(percentiles(kind.runTime))</td>\
      \(if: allowsChanges, "<td class=\"num action\">\(button(action))</td>")</tr>
      """
  }

  private func change(_ perSecond: Double?) -> HTML {
    guard let perSecond, perSecond != 0 else { return .empty }
    return "<span class=\"sub\">\(perSecond > 0 ? "+" : "−")\(Figures.rate(abs(perSecond)))</span>"
  }

  private func percentiles(_ percentiles: Percentiles?) -> HTML {
    guard let percentiles else { return .none }
    return
      "\(Figures.duration(percentiles.p50))<br><span class=\"sub\">\(Figures.duration(percentiles.p99))</span>"
  }

  // MARK: Databases

  private func databaseSection(_ view: LiveView) -> HTML {
    "<div class=\"card-head\"><h2 id=\"databases-title\">Databases</h2></div>\(databaseTable(view))"
  }

  /// The databases, up or down, and how large they are.
  func databaseTable(_ view: LiveView) -> HTML {
    let head: HTML = """
      <th scope="col">Database</th><th scope="col">State</th><th scope="col" class="num">Ready</th>\
      <th scope="col" class="num">Delayed</th><th scope="col" class="num">Running</th><th scope="col" class="num">File</th>\
      <th scope="col" class="num">WAL</th><th scope="col">Worker</th><th scope="col" class="num">Answered in</th>
      """
    let rows = view.sample.databases.map { database -> HTML in
      guard let state = database.state else {
        return """
          <tr><th scope="row" class="name full">\(database.name)</th><td data-label="State"><span class="badge red">down</span></td>\
          <td colspan="7" class="text full">\(database.error?.description ?? "")</td></tr>
          """
      }
      let worker: HTML =
        switch state.hasWorker {
        case true?: "looking for jobs"
        case false?: "<span class=\"warn\">none</span>"
        case nil: .none
        }
      return """
        <tr><th scope="row" class="name full">\(database.name)</th><td data-label="State"><span class="badge green">up</span></td>\
        <td class="num" data-label="Ready">\(figure(state.ready))</td><td class="num" data-label="Delayed">\(figure(state.delayed))</td>\
        <td class="num" data-label="Running">\(figure(state.running))</td>\
        <td class="num" data-label="File">\(state.fileBytes.map { "\(Figures.bytes($0))" } ?? .none)</td>\
        <td class="num" data-label="WAL">\(state.walBytes.map { "\(Figures.bytes($0))" } ?? .none)</td>\
        <td data-label="Worker">\(worker)</td><td class="num" data-label="Answered in">\(Figures.duration(state.took))</td></tr>
        """
    }
    return table("State of each database", head, rows, class: "fold")
  }
}
#endif
