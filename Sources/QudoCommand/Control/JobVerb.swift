internal import ArgumentParser
internal import Qudo

/// Something that a command does to jobs, with an answer for each.
protocol JobVerb: Sendable {
  associatedtype Answer: RawRepresentable<String> & Hashable & Sendable

  var selected: SelectedJobs { get }

  /// The answers that are counted if the jobs were selected by a filter, in the order of the output.
  static var counted: [Answer] { get }

  /// The verb for jobs by their numbers.
  func run(_ driver: any ControlDriver, _ jobs: [Int64]) async throws(QudoError) -> [Answer]
  /// The verb for the jobs of a query.
  func run(_ driver: any ControlDriver, _ query: JobQuery) async throws(QudoError) -> [(
    id: Int64, answer: Answer
  )]
  /// The answer that a dry run predicts; the state is nil if the job does not exist.
  func expected(_ state: JobState?) -> Answer
  /// The error for a named job; nil if the verb succeeded.
  func trouble(_ answer: Answer, _ job: String) -> String?
}

extension JobVerb {
  func perform(_ database: Database, _ durability: DurabilityOption) async throws {
    let body = { (databases: Databases) in
      var report = JobVerbReport<Self>(self, isSeveral: databases.names.count > 1)
      do {
        if selected.isBulk {
          try await runBulk(databases, &report)
        } else {
          try await runNamed(databases, &report)
        }
      } catch {
        // What was done before the error stays so.
        try report.end()
        throw error
      }
      try report.end()
      if report.hasFailures { throw ExitCode.failure }
    }
    if selected.dryRun { return try await database.list { try await body($0) } }
    try await database.use(durability: durability.durability, create: false) { try await body($0) }
  }

  private func runNamed(_ databases: Databases, _ report: inout JobVerbReport<Self>) async throws {
    let names = databases.names
    let jobs = try selected.ids.map { JobID(database: try $0.database(of: names), number: $0.number) }
    guard !selected.dryRun else {
      for job in jobs { try report.add(job, expected(try await Queue(databases).job(job)?.state)) }
      return
    }
    var rest = jobs[...]
    while let first = rest.first {
      let group = Array(rest.prefix { $0.database == first.database })
      let numbers = group.map(\.number)
      let answers = try await databases.control(in: first.database) { driver throws(QudoError) in
        try await run(driver, numbers)
      }
      for (job, answer) in zip(group, answers) { try report.add(job, answer) }
      rest = rest.dropFirst(group.count)
    }
  }

  private func runBulk(_ databases: Databases, _ report: inout JobVerbReport<Self>) async throws {
    let (answers, isWhole) = try await databases.forEachDriver { _ throws(QudoError) in true }.answered()
    if !isWhole { report.hasFailures = true }
    for (name, _) in answers {
      var query = JobQuery(selected.filter, limit: selected.dryRun ? 100 : 1000)
      while true {
        let page = query
        let found = try await databases.control(in: name) { driver throws(QudoError) in
          guard selected.dryRun else { return try await run(driver, page) }
          return try await driver.jobs(matching: page).map { ($0.id, expected($0.state)) }
        }
        for job in found { try report.add(JobID(database: name, number: job.id), job.answer) }
        guard found.count == query.limit, let last = found.last else { break }
        query.after = last.id
      }
    }
  }
}

/// Reports each job as soon as its fate is known: a later error must not hide what was done.
private struct JobVerbReport<Verb: JobVerb> {
  let verb: Verb
  let isSeveral: Bool
  var hasFailures = false
  private var isBegun = false
  private var counts: [Verb.Answer: Int] = [:]

  init(_ verb: Verb, isSeveral: Bool) { (self.verb, self.isSeveral) = (verb, isSeveral) }

  mutating func add(_ job: JobID, _ answer: Verb.Answer) throws {
    counts[answer, default: 0] += 1
    let name = isSeveral ? "\(SafeText.terminalSafe(job.database))/\(job.number)" : "\(job.number)"
    let trouble = verb.selected.isBulk ? nil : verb.trouble(answer, name)
    if verb.selected.json {
      let row = JSON.object([
        ("database", .text(job.database)), ("id", .integer(job.number)), ("result", .text(answer.rawValue)),
      ])
      try Output.write((isBegun ? ",\n" : "[") + JSONWriter.one(row))
    } else if !verb.selected.isBulk, trouble == nil {
      try Output.line("\(name) \(answer.rawValue)")
    }
    isBegun = true
    guard let trouble else { return }
    hasFailures = true
    printError(trouble)
  }

  func end() throws {
    if verb.selected.json { return try Output.line(isBegun ? "]" : "[]") }
    if verb.selected.isBulk {
      try Output.line(Verb.counted.map { "\(counts[$0, default: 0])" }.joined(separator: " "))
    }
  }
}

extension JobVerb {
  /// The message for a job that is not there.
  static func notFound(_ job: String) -> String {
    "no unfinished job \(job). Find out what became of it with qudo show"
  }
}
