public import Qudo

/// What a test expects of an enqueued job beside its kind and what it is to do; nil for what does not matter.
public struct JobExpectation: Sendable {
  /// The job's unique key.
  public var unique: String?
  /// The job's priority.
  public var priority: Int?
  /// When it may run, counted from its enqueue: `.now`, `.after(.seconds(60))`, or a moment of its own.
  public var due: Due?
  /// Texts that travel beside the payload; there may be others.
  public var meta: [String: String]

  /// - Parameters:
  ///   - unique: the job's unique key.
  ///   - priority: the job's priority.
  ///   - due: when it may run, counted from its enqueue.
  ///   - meta: texts that travel beside the payload; there may be others.
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

  /// ` with the unique key "ada" and the priority 5`, or nothing.
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

/// What is enqueued is not what a test expects. Its description says what was expected and lists what is there instead.
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
  /// Its line in a list: `1 mail.send ready, priority 5, unique key "ada": SendMail(to: "bob")`.
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
