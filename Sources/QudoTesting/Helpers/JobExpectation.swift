public import Qudo

/// The properties that a test expects of an enqueued job, besides its kind and payload. Nil matches any
/// value.
public struct JobExpectation: Sendable {
  /// The job's unique key.
  public var unique: String?
  /// The job's priority.
  public var priority: Int?
  /// The time from which the job may run, relative to its enqueue: `.now`, `.after(.seconds(60))`, or `.at` a
  /// fixed time.
  public var due: Due?
  /// The metadata entries that the job must have, possibly among others.
  public var meta: [String: String]

  /// - Parameters:
  ///   - unique: the job's unique key.
  ///   - priority: the job's priority.
  ///   - due: the time from which it may run, relative to its enqueue.
  ///   - meta: metadata entries that the job must have, possibly among others.
  public init(unique: String? = nil, priority: Int? = nil, due: Due? = nil, meta: [String: String] = [:]) {
    self.unique = unique
    self.priority = priority
    self.due = due
    self.meta = meta
  }

  func fits(_ job: StoredJob) -> Bool {
    if let unique, !(job.uniqueKey?.utf8.elementsEqual(unique.utf8) ?? false) { return false }
    if let priority, job.priority != priority { return false }
    switch due {
    case nil: break
    case .now: if job.dueAt != job.enqueuedAt { return false }
    case .after(let delay): if job.dueAt != job.enqueuedAt.advanced(by: delay) { return false }
    case .at(let moment): if job.dueAt != moment { return false }
    }
    return meta.allSatisfy { job.metadata[$0.key] == $0.value }
  }

  /// The properties in words, such as ` with the unique key "ada" and the priority 5`; empty if there are
  /// none.
  var words: String {
    var parts: [String] = []
    if let unique { parts.append("the unique key \"\(unique)\"") }
    if let priority { parts.append("the priority \(priority)") }
    switch due {
    case nil: break
    case .now: parts.append("no delay")
    case .after(let delay): parts.append("the delay \(delay)")
    case .at(let moment): parts.append("the due time \(moment.microseconds) µs")
    }
    for (name, text) in meta.sorted(by: { $0.key < $1.key }) {
      parts.append("the meta \(name) = \"\(text)\"")
    }
    guard let last = parts.popLast() else { return "" }
    return " with " + (parts.isEmpty ? last : parts.joined(separator: ", ") + " and " + last)
  }
}

/// The enqueued jobs are not the ones that a test expects. The description says what was expected and lists
/// the enqueued jobs.
public struct UnexpectedJobs: Error, CustomStringConvertible {
  public let description: String

  init(_ what: String, there: [String]) {
    guard !there.isEmpty else {
      description = "\(what); no job is enqueued"
      return
    }
    let shown = there.prefix(20).map { "\n  \($0)" }.joined()
    let rest = there.count > 20 ? "\n  and \(there.count - 20) more" : ""
    description = "\(what); there \(there.count == 1 ? "is" : "are"):\(shown)\(rest)"
  }
}

extension StoredJob {
  /// Returns the job's line in a list, such as
  /// `1 mail.send ready, priority 5, unique key "ada": SendMail(to: "bob")`.
  func line(_ payload: String) -> String {
    var line = "\(id) \(kind) \(state)"
    if let uniqueKey { line += ", unique key \"\(uniqueKey)\"" }
    if priority != 0 { line += ", priority \(priority)" }
    if dueAt != enqueuedAt {
      line += ", delay \(Duration.microseconds(dueAt.microseconds - enqueuedAt.microseconds))"
    }
    if attempt != 1 { line += ", attempt \(attempt)" }
    for name in metadata.names { line += ", meta \(name) = \"\(metadata[name] ?? "")\"" }
    return "\(line): \(payload)"
  }
}
