#if Dashboard
internal import Qudo

/// The frame around the content of each page, and the facts that pages need to link to each other.
struct Shell: Sendable {
  /// The dashboard's path: empty, or `/queue`.
  var base = ""
  var title = "Qudo"
  var allowsChanges = false
  /// The names of the databases.
  var databases: [String] = []
  /// The time that other times are relative to.
  var now: Timestamp
  var flash: Flash?
  /// The token that forms of this session send.
  var formToken = ""

  enum Section: String, CaseIterable {
    case overview = "", jobs, failures, schedules, workers, databases

    var name: String {
      self == .overview ? "Overview" : rawValue.prefix(1).uppercased() + rawValue.dropFirst()
    }
  }

  func link(_ page: String, _ query: KeyValuePairs<String, String?> = [:]) -> Link { Link(base, page, query) }

  /// Whether a name of a database tells anything.
  var isSeveral: Bool { databases.count > 1 }

  /// The page of one job.
  func job(_ database: String, _ id: Int64) -> Link { link("job", ["database": database, "id": "\(id)"]) }
  func failure(_ database: String, _ id: Int64) -> Link {
    link("failure", ["database": database, "id": "\(id)"])
  }
  func kind(_ kind: Kind) -> HTML { "<a href=\"\(link("jobs", ["kind": kind.name]))\">\(kind.name)</a>" }

  /// The link to the page that asks whether to make a change; nothing if changes are not allowed.
  func button(_ order: ChangeOrder, small: Bool = true) -> HTML {
    guard allowsChanges else { return .empty }
    let link = link(
      "confirm",
      [
        "change": order.change.rawValue, "database": order.database, "id": order.id.map { "\($0)" },
        "name": order.name,
      ])
    let classes = (small ? "button small" : "button") + (order.change.isDangerous && !small ? " danger" : "")
    return
      "<a class=\"\(classes)\" href=\"\(link)\">\(order.label)\(order.subject.map { "<span class=\"hidden\"> \($0)</span>" as HTML })</a>"
  }

  /// The version of the files in their addresses.
  private static let version: String = {
    let words = SHA256.hash(Array((Assets.styleSheet + Assets.script).utf8))
    return String(words[0], radix: 16) + String(words[1], radix: 16)
  }()

  /// The whole page.
  ///
  /// - Parameters:
  ///   - heading: The page's name in the window's title.
  ///   - live: The stream of its live parts.
  func page(
    _ heading: String, _ section: Section?, live: LivePage? = nil, search: String = "", _ content: HTML
  ) -> HTML {
    let sections = Section.allCases.map { item -> HTML in
      "<li><a href=\"\(link(item.rawValue))\"\(if: item == section, " aria-current=\"page\"")>\(item.name)</a></li>"
    }
    let notice: HTML? = flash.map { flash in
      "<div class=\"note \(flash.isGood ? "good" : "bad-note")\" role=\"status\"><p>\(flash.text)</p></div>"
    }
    let stream: HTML? = live.map { page in
      "<div hidden data-live=\"\(link("events", ["page": page.rawValue]))\"></div>"
    }
    return """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark"><title>\(heading) – \(title)</title>
      <link rel="icon" href="\(Self.icon)"><link rel="stylesheet" href="\(link("style.css", ["v": Self.version]))">
      <script src="\(link("script.js", ["v": Self.version]))" defer></script></head>
      <body><a class="skip" href="#content">Skip to the content</a>
      <header class="bar"><div class="bar-in"><a class="brand" href="\(link(""))">\(Self.mark)\(title)</a>
      <nav aria-label="Pages"><ul>\(sections)</ul></nav>
      <form class="search" role="search" action="\(link("search"))" method="get">
      <label class="hidden" for="search">Job id, or the beginning of a unique key</label>
      <input type="search" id="search" name="q" value="\(search)" placeholder="Job id or unique key" autocomplete="off" spellcheck="false">
      <button type="submit">Find</button></form></div></header>
      <main id="content" tabindex="-1">\(notice)\(content)</main>
      <footer><span>Qudo \(QudoRelease.version)</span>\
      <span>\(if: allowsChanges, "Changes are allowed", else: "Read only")</span>\
      <button type="button" class="small" data-help hidden>Keys <kbd>?</kbd></button></footer>
      \(Self.help)\(stream)<div id="announcer" class="hidden" role="status" aria-live="polite"></div></body></html>
      """
  }

  private static let icon = """
    data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Crect width='24' height='24' rx='6' \
    fill='%230a5bc4'/%3E%3Cpath d='M6 8h12M6 12h8M6 16h4' stroke='white' stroke-width='2.4' stroke-linecap='round'/%3E%3C/svg%3E
    """

  private static let mark: HTML = """
    <svg viewBox="0 0 24 24" aria-hidden="true"><rect width="24" height="24" rx="6" fill="#0a5bc4"/>\
    <path d="M6 8h12M6 12h8M6 16h4" stroke="#fff" stroke-width="2.4" stroke-linecap="round"/></svg>
    """

  private static let help: HTML = """
    <dialog id="help" aria-labelledby="help-title"><h2 id="help-title">Keys</h2>
    <dl><dt><kbd>/</kbd></dt><dd>Search for a job by its id or unique key</dd>
    <dt><kbd>?</kbd></dt><dd>Show these keys</dd><dt><kbd>Esc</kbd></dt><dd>Close this window</dd>
    <dt><kbd>Tab</kbd></dt><dd>Go to the next link or field; the first one skips the menu</dd></dl>
    <form method="dialog"><button type="submit">Close</button></form></dialog>
    """

  // MARK: Parts of pages

  /// The heading of a page.
  func head(_ heading: String, _ note: HTML = .empty, crumb: HTML? = nil, aside: HTML = .empty) -> HTML {
    let above: HTML? = crumb.map { "<p class=\"crumb\">\($0)</p>" }
    return "<div class=\"head\"><div>\(above)<h1>\(heading)</h1>\(note)</div>\(aside)</div>"
  }

  /// The sign that shows whether the page is live. It says nothing until the script runs.
  static let live: HTML = """
    <p class="live" id="live-state" data-state="wait"><span class="dot" aria-hidden="true"></span><span>As of when the page was loaded</span></p>
    """

  /// A table that scrolls by itself if it is wider than the window.
  func table(_ caption: String, _ head: HTML, _ rows: [HTML], class name: String = "") -> HTML {
    """
    <div class="scroll" role="region" aria-label="\(caption)" tabindex="0"><table class="\(name)">\
    <caption class="hidden">\(caption)</caption><thead><tr>\(head)</tr></thead><tbody>\(rows)</tbody></table></div>
    """
  }

  /// Words where there is nothing to list.
  func empty(_ heading: String, _ advice: HTML) -> HTML {
    "<div class=\"empty\"><p class=\"what\">\(heading)</p><p>\(advice)</p></div>"
  }

  /// Why a database has no figures.
  func failureNote(_ database: String, _ error: QudoError) -> HTML {
    """
    <div class="note bad-note"><p><strong>\(database) does not answer.</strong> \(error.description)</p></div>
    """
  }

  func badge(_ state: JobState) -> HTML {
    switch state {
    case .ready: "<span class=\"badge blue\">ready</span>"
    case .delayed: "<span class=\"badge violet\">delayed</span>"
    case .running: "<span class=\"badge green\">running</span>"
    case .held: "<span class=\"badge amber\">held</span>"
    }
  }

  func badge(_ reason: FailureReason) -> HTML {
    switch reason {
    case .failed, .lost: "<span class=\"badge red\">\(reason.rawValue)</span>"
    case .aborted, .expired, .dropped: "<span class=\"badge amber\">\(reason.rawValue)</span>"
    case .cancelled: "<span class=\"badge\">cancelled</span>"
    }
  }

  /// A count that stands back if it is zero.
  func figure(_ number: Int, class name: String = "") -> HTML {
    number == 0
      ? "<span class=\"zero\">0</span>"
      : name.isEmpty ? "\(Figures.count(number))" : "<span class=\"\(name)\">\(Figures.count(number))</span>"
  }

  /// An entry of a list of facts; nothing without a value.
  func fact(_ name: String, _ value: HTML?) -> HTML {
    guard let value, !value.isEmpty else { return .empty }
    return "<div><dt>\(name)</dt><dd>\(value)</dd></div>"
  }

  /// The list of one database, below the form: the rows, or why there are none, and the links to other pages of it.
  ///
  /// - Parameters:
  ///   - noun: What a row is, and several are: `job`, `jobs`.
  ///   - link: The page with the filter, of the database if there are several.
  ///   - isFirst: Whether this is the first page.
  ///   - advice: What to say if there are no rows.
  ///   - columns: The cells of the heading.
  func list<Row>(
    _ answer: DatabaseAnswer<Found<Row>>, _ noun: (one: String, many: String), link: Link, isFirst: Bool,
    cutOff: (Int64) -> HTML, advice: (Found<Row>) -> HTML, columns: HTML, row: (Row) -> HTML
  ) -> HTML {
    let found: Found<Row>
    switch answer.result {
    case .success(let value): found = value
    case .failure(let error): return failureNote(answer.database, error)
    }
    let title: HTML = isSeveral ? "<div class=\"card-head\"><h2>\(answer.database)</h2></div>" : .empty
    let pager = pager(
      found, noun, of: answer.database, link: link, isFirst: isFirst, cutOff: cutOff(found.next ?? 0))
    guard !found.rows.isEmpty else {
      return
        "<section class=\"card\">\(title)\(empty("No \(noun.many) here", advice(found)))\(pager)</section>"
    }
    let plural = noun.many.prefix(1).uppercased() + noun.many.dropFirst()
    let name = isSeveral ? "\(plural) of \(answer.database)" : plural
    return
      "<section class=\"card\">\(title)\(table(name, columns, found.rows.map(row), class: "fold"))\(pager)</section>"
  }

  /// The links below a list.
  func pager<Row>(
    _ found: Found<Row>, _ noun: (one: String, many: String), of database: String, link: Link, isFirst: Bool,
    cutOff: HTML
  ) -> HTML {
    let count = found.rows.count
    let said: HTML =
      "\(Figures.count(count)) \(count == 1 ? noun.one : noun.many)\(if: found.next != nil && !found.isCutOff, ", and more")"
    let first: HTML =
      isFirst ? .empty : "<a class=\"button small\" href=\"\(link.with("after", nil))\">First page</a>"
    let next: HTML? = found.next.map { id in
      "<a class=\"button small\" rel=\"next\" href=\"\(link.with("after", "\(id)"))\">\(found.isCutOff ? "Search on" : "Next page")</a>"
    }
    guard !first.isEmpty || next != nil || count > 0 else { return .empty }
    return """
      <nav class="pager" aria-label="Paging\(isSeveral ? " of \(database)" : "")"><span>\(said)\(if: found.isCutOff, "<br>\(cutOff)")</span>\
      <span class="buttons">\(first)\(next)</span></nav>
      """
  }
}

/// A page with parts that change while it is open.
enum LivePage: String, Sendable {
  case overview, workers
}

extension ChangeOrder {
  /// The words on the button.
  var label: String {
    name == nil && (change == .pause || change == .resume) ? "\(change.label) everything" : change.label
  }

  /// The announcement of a change, for screen readers.
  var subject: String? {
    id.map { "\(change == .replay || change == .resolve ? "failure" : "job") \($0)" } ?? name
  }
}
#endif
