internal import Qudo
internal import QudoMonitor

/// The size of a terminal.
struct ScreenSize: Equatable, Sendable {
  var columns: Int
  var rows: Int

  init(_ columns: Int, _ rows: Int) { (self.columns, self.rows) = (columns, rows) }
}

/// A kind, job or failure of one database.
struct RowID<Value: Hashable & Sendable>: Hashable, Sendable {
  var database: String
  var value: Value

  init(_ database: String, _ value: Value) { (self.database, self.value) = (database, value) }
}

/// Everything that the screen of `qudo top` shows, and how events change it: a pure value.
struct TopState: Sendable {
  /// The number of jobs that a page of a kind has.
  static let page = 100
  /// The number of failures of a database that are listed.
  static let failureLimit = 50
  private static let filterLimit = 100

  var size: ScreenSize
  private(set) var sample: QueueSample?
  private(set) var history = SampleHistory()
  private(set) var tab = Tab.kinds
  private(set) var sort = Sort.name
  private(set) var filter = ""
  /// The filter as it is typed; nil if it is not.
  private(set) var draft: String?
  private(set) var details: [Detail] = []
  private(set) var confirmation: Change?
  private(set) var message: Message? { didSet { messageAge = 0 } }
  private(set) var showsHelp = false
  private(set) var failures: [FailureRow] = []
  /// Why the failures cannot be read.
  private(set) var failuresError: QudoError?
  private(set) var kindJobs: [StoredJob] = []
  /// Whether the page was read.
  private(set) var hasReadJobs = false
  /// Whether there are more jobs after those of the page.
  private(set) var hasMoreJobs = false
  /// The ids after which the pages before this one begin, and this one.
  private(set) var pages: [Int64] = [0]
  /// The content of the open job or failure; nil while it is being read.
  private(set) var content: Content?
  /// Why the detail cannot be read.
  private(set) var detailError: QudoError?
  /// The first line of the text of a detail that is shown.
  private(set) var scroll = 0
  /// The number of samples since the message.
  private var messageAge = 0
  private var selected: [Int] = [0, 0, 0, 0]
  private var selectedKind: RowID<Kind>?
  private var selectedJob: RowID<Int64>?
  private var selectedFailure: RowID<Int64>?
  /// The selected job of the kind that is open.
  private var selectedKindJob: Int64?
  private var loading: [Request] = []
  private var newestFailures: [String: Int64] = [:]

  init(size: ScreenSize) { self.size = size }

  var detail: Detail? { details.last }

  /// The list that has the selection: a tab, or the jobs of a kind; nil if text is shown.
  private var list: Int? {
    switch detail {
    case nil: Tab.allCases.firstIndex(of: tab)
    case .kind: 3
    default: nil
    }
  }

  private func count(_ list: Int) -> Int {
    switch list {
    case 0: kindRows.count
    case 1: jobRows.count
    case 2: failureRows.count
    default: kindJobs.count
    }
  }

  /// The selected row of the list that is shown.
  var selection: Int { list.map { selected[$0] } ?? 0 }

  // MARK: Events

  /// Changes the state.
  ///
  /// - Returns: The actions that follow.
  mutating func handle(_ event: Event) -> [Action] {
    switch event {
    case .resize(let size):
      self.size = size
      return [.redraw]
    case .sample(let sample):
      self.sample = sample
      history.append(sample)
      // An error stays until the next key.
      messageAge += 1
      if messageAge >= 5, message?.isError == false { message = nil }
      keepSelection()
      return refresh()
    case .loaded(let request, let result):
      loading.removeAll { $0 == request }
      loaded(request, result)
      keepSelection()
      return []
    case .changed(let result):
      switch result {
      case .success(let text): message = Message(text: text, isError: false)
      case .failure(let error): message = Message(text: CellText.safe("\(error)"), isError: true)
      }
      return []
    case .key(let key):
      let actions = press(key)
      noteSelection()
      return actions
    }
  }

  /// Reads what is shown again, unless it is being read.
  private mutating func refresh() -> [Action] {
    var wanted: [Request] = []
    var newest: [String: Int64] = [:]
    for database in sample?.databases ?? [] {
      newest[database.name] = database.state?.newestFailure ?? newestFailures[database.name]
    }
    // A replay does not change the ids, so the tab is always read again.
    if newest != newestFailures || tab == .failures || failuresError != nil { wanted.append(.failures) }
    newestFailures = newest
    if let request = detailRequest { wanted.append(request) }
    return load(wanted)
  }

  private mutating func load(_ wanted: [Request]) -> [Action] {
    let new = wanted.filter { !loading.contains($0) }
    loading += new
    return new.map { .load($0) }
  }

  private var detailRequest: Request? {
    switch detail {
    case nil: nil
    case .kind(let id): .jobs(id, after: pages.last ?? 0)
    case .job(let id): .job(id)
    case .failure(let id): .failure(id)
    }
  }

  private mutating func loaded(_ request: Request, _ result: Result<Content, QudoError>) {
    if request == .failures {
      switch result {
      case .success(.failures(let rows)): (failures, failuresError) = (rows, nil)
      case .failure(let error): failuresError = error
      default: break
      }
      return
    }
    // An answer for a detail that is no longer shown is late.
    guard request == detailRequest else { return }
    switch result {
    case .success(.jobs(let jobs)):
      (kindJobs, hasMoreJobs) = (Array(jobs.prefix(Self.page)), jobs.count > Self.page)
      (detailError, hasReadJobs) = (nil, true)
    case .success(let content): (self.content, detailError) = (content, nil)
    case .failure(let error): detailError = error
    }
  }

  // MARK: Selection

  /// Keeps the selection on the same row when rows come, go or change their order.
  private mutating func keepSelection() {
    if let id = selectedKind, let index = kindRows.firstIndex(where: { $0.id == id }) { selected[0] = index }
    if let id = selectedJob, let index = jobRows.firstIndex(where: { $0.id == id }) { selected[1] = index }
    if let id = selectedFailure, let index = failureRows.firstIndex(where: { $0.id == id }) {
      selected[2] = index
    }
    if let id = selectedKindJob, let index = kindJobs.firstIndex(where: { $0.id == id }) {
      selected[3] = index
    }
    clampSelection()
    // A job that has ended does not come again: the selection is on the next one now. A kind does, and so do the rows of a database that
    // did not answer.
    if !jobRows.isEmpty { noteJob() }
    if !kindJobs.isEmpty { noteKindJob() }
  }

  private mutating func noteSelection() {
    clampSelection()
    let (kinds, failures) = (kindRows, failureRows)
    selectedKind = kinds.indices.contains(selected[0]) ? kinds[selected[0]].id : nil
    noteJob()
    selectedFailure = failures.indices.contains(selected[2]) ? failures[selected[2]].id : nil
    noteKindJob()
  }

  private mutating func clampSelection() {
    for list in selected.indices { selected[list] = max(0, min(selected[list], count(list) - 1)) }
  }

  private mutating func noteJob() {
    let jobs = jobRows
    selectedJob = jobs.indices.contains(selected[1]) ? jobs[selected[1]].id : nil
  }

  private mutating func noteKindJob() {
    selectedKindJob = kindJobs.indices.contains(selected[3]) ? kindJobs[selected[3]].id : nil
  }

  private mutating func move(by rows: Int) {
    guard let list else {
      scroll = max(0, scroll.addingReportingOverflow(rows).partialValue)
      return
    }
    let (sum, overflow) = selected[list].addingReportingOverflow(rows)
    selected[list] = max(0, min(overflow ? (rows < 0 ? 0 : .max) : sum, count(list) - 1))
  }

  /// The highest value of ``scroll``; the screen knows it.
  mutating func limitScroll(_ most: Int) { scroll = max(0, min(scroll, most)) }

  // MARK: Keys

  private mutating func press(_ key: Key) -> [Action] {
    if key == .control("c") { return [.quit] }
    if key == .control("z") { return [.suspend] }
    if key == .control("l") { return [.redraw] }
    if case .paste(let text) = key {
      // Only a field takes what was not typed: it may have any keys in it, and be long.
      if let draft, !showsHelp, confirmation == nil {
        self.draft = String((draft + text).prefix(Self.filterLimit))
      }
      return []
    }
    message = nil
    if showsHelp {
      showsHelp = false
      return []
    }
    if let change = confirmation {
      confirmation = nil
      if key == .character("y") || key == .character("Y") { return [.perform(change)] }
      message = Message(text: "nothing was changed", isError: false)
      return []
    }
    if draft != nil {
      edit(key)
      return []
    }
    switch key {
    case .character("q"): return [.quit]
    case .character("?"): showsHelp = true
    case .up, .character("k"): move(by: -1)
    case .down, .character("j"): move(by: 1)
    case .pageUp, .control("b"): move(by: -pageRows)
    case .pageDown, .control("f"), .character(" "): move(by: pageRows)
    case .home, .character("g"): move(by: -.max)
    case .end, .character("G"): move(by: .max)
    case .tab: return turn(1)
    case .backTab: return turn(-1)
    case .enter: return open()
    case .escape, .backspace: return back()
    case .right, .character("l"): return turnPage(1)
    case .left, .character("h"): return turnPage(-1)
    case .character("/"): draft = filter
    case .character("s"): nextSort()
    case .character("p"): askPause()
    case .character("c"): askCancel()
    case .character("r"): askReplay()
    default: break
    }
    return []
  }

  private var pageRows: Int { max(1, size.rows - 8) }

  private mutating func edit(_ key: Key) {
    guard var text = draft else { return }
    switch key {
    case .enter, .tab:
      (filter, draft) = (text, nil)
      return
    case .escape:
      (filter, draft) = ("", nil)
      return
    case .control("u"): text = ""
    case .backspace, .control("h"): text = String(text.dropLast())
    case .character(let character) where text.count < Self.filterLimit: text.append(character)
    default: break
    }
    draft = text
  }

  private mutating func turn(_ step: Int) -> [Action] {
    let all = Tab.allCases
    let index = all.firstIndex(of: tab) ?? 0
    tab = all[(index + step + all.count) % all.count]
    details = []
    forgetDetail()
    return tab == .failures ? load([.failures]) : []
  }

  private mutating func forgetDetail() {
    (content, detailError, scroll) = (nil, nil, 0)
  }

  private mutating func open() -> [Action] {
    switch detail {
    case nil:
      switch tab {
      case .kinds:
        guard kindRows.indices.contains(selected[0]) else { return [] }
        details = [.kind(kindRows[selected[0]].id)]
        (kindJobs, hasReadJobs, hasMoreJobs, pages, selected[3]) = ([], false, false, [0], 0)
      case .jobs:
        guard jobRows.indices.contains(selected[1]) else { return [] }
        details = [.job(jobRows[selected[1]].id)]
      case .failures:
        guard failureRows.indices.contains(selected[2]) else { return [] }
        details = [.failure(failureRows[selected[2]].id)]
      }
    case .kind(let id):
      guard kindJobs.indices.contains(selected[3]) else { return [] }
      details.append(.job(RowID(id.database, kindJobs[selected[3]].id)))
    default: return []
    }
    forgetDetail()
    return detailRequest.map { load([$0]) } ?? []
  }

  private mutating func back() -> [Action] {
    if details.isEmpty {
      filter = ""
      return []
    }
    details.removeLast()
    forgetDetail()
    return detailRequest.map { load([$0]) } ?? []
  }

  private mutating func turnPage(_ step: Int) -> [Action] {
    guard case .kind = detail else { return [] }
    if step > 0 {
      guard hasMoreJobs, let last = kindJobs.last else { return [] }
      pages.append(last.id)
    } else {
      guard pages.count > 1 else { return [] }
      pages.removeLast()
    }
    (selected[3], selectedKindJob) = (0, nil)
    return detailRequest.map { load([$0]) } ?? []
  }

  private mutating func nextSort() {
    let all = Sort.allCases
    sort = all[((all.firstIndex(of: sort) ?? 0) + 1) % all.count]
    message = Message(text: "kinds sorted by \(sort.rawValue)", isError: false)
  }

  // MARK: Changes

  private mutating func askPause() {
    let row: KindRow? =
      switch detail {
      case .kind: openKind
      case nil where tab == .kinds: kindRows.indices.contains(selected[0]) ? kindRows[selected[0]] : nil
      default: nil
      }
    guard let row else { return refuse("select a kind to pause or resume it") }
    if row.sample.pause == nil, row.sample.isPaused {
      return refuse("everything is paused, not this kind: use qudo resume")
    }
    confirmation = row.sample.pause == nil ? .pause(row.id) : .resume(row.id)
  }

  private mutating func askCancel() {
    switch detail {
    case .job(let id): confirmation = .cancel(id)
    case .kind(let id) where kindJobs.indices.contains(selected[3]):
      confirmation = .cancel(RowID(id.database, kindJobs[selected[3]].id))
    case nil where tab == .jobs && jobRows.indices.contains(selected[1]):
      confirmation = .cancel(jobRows[selected[1]].id)
    default: refuse("select a job to cancel it")
    }
  }

  private mutating func askReplay() {
    switch detail {
    case .failure(let id): confirmation = .replay(id)
    case nil where tab == .failures && failureRows.indices.contains(selected[2]):
      confirmation = .replay(failureRows[selected[2]].id)
    default: refuse("select a failure to replay it")
    }
  }

  private mutating func refuse(_ text: String) { message = Message(text: text, isError: true) }
}
