internal import ArgumentParser
internal import Qudo

/// The effect of a verb on one failure: see ``FailureReport``.
protocol FailureAnswer {
  /// The line that tells of success, without the database's name; nil if the verb refused the failure.
  func line(failure: Int64) -> String?
  /// Why the verb refused the failure, to follow "failure 17 "; nil if it did not.
  var refusal: String? { get }
  /// The members of the JSON object besides the database and the failure.
  var members: [(key: String, value: JSON)] { get }
}

/// Prints what a verb did with each failure at once, so that a later error cannot hide what was written.
struct FailureReport {
  private let json: Bool
  private let isSeveral: Bool
  private var hasRefusals = false
  private var isBegun = false

  /// - Parameter isSeveral: Whether there are several databases, so that lines name them.
  init(json: Bool, isSeveral: Bool) {
    self.json = json
    self.isSeveral = isSeveral
  }

  mutating func add(_ failures: [Int64], _ answers: [some FailureAnswer], in database: String) throws {
    let prefix = isSeveral ? SafeText.terminalSafe(database) + "/" : ""
    for (failure, answer) in zip(failures, answers) {
      if json {
        let object = JSON.object(
          [("database", .text(database)), ("failure", .integer(failure))] + answer.members)
        try Output.write((isBegun ? ",\n" : "[") + JSONWriter.one(object))
      } else if let line = answer.line(failure: failure) {
        try Output.line(prefix + line)
      }
      isBegun = true
      guard let refusal = answer.refusal else { continue }
      hasRefusals = true
      printError("failure \(prefix)\(failure) \(refusal)")
    }
  }

  /// Runs a verb on failures by id, or on all open ones that fit a filter, and prints what it did.
  ///
  /// - Parameters:
  ///   - ids: The failures; nil for all open ones.
  ///   - page: The maximum number of failures that `body` gets in one call.
  ///   - body: Returns an answer for each failure of one database.
  /// - Throws: The exit status 1 if a failure was refused, or a database is unavailable.
  mutating func run<Answer: FailureAnswer>(
    _ ids: [JobName]?, matching filter: FailureFilter, kinds: [Kind]?, page: Int, on databases: Databases,
    _ body: (_ failures: [Int64], _ database: String) async throws -> [Answer]
  ) async throws {
    var isWhole = true
    do {
      if let ids {
        let named = try ids.map { (database: try $0.database(of: databases.names), number: $0.number) }
        var rest = named[...]
        while let first = rest.first {
          let run = rest.prefix(page).prefix { $0.database == first.database }.map(\.number)
          try add(run, try await body(run, first.database), in: first.database)
          rest = rest.dropFirst(run.count)
        }
      } else {
        // Find the unavailable databases once, not per page.
        let answers: [(database: String, rows: Bool)]
        (answers, isWhole) = try await databases.forEachDriver { _ throws(QudoError) in true }.answered()
        for (name, _) in answers {
          var failures = OpenFailures(in: name, of: databases, matching: filter, kinds: kinds, page: page)
          while let found = try await failures.next() {
            try add(found, try await body(found, name), in: name)
          }
        }
      }
    } catch {
      try end()
      throw error
    }
    try end()
    if hasRefusals || !isWhole { throw ExitCode.failure }
  }

  private func end() throws {
    if json { try Output.line(isBegun ? "]" : "[]") }
  }
}
