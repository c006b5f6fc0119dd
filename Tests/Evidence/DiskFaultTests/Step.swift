import Qudo

/// A call that changes what there is.
enum Step: Hashable, Sendable {
  enum Ending: Hashable, Sendable {
    case completed([String])
    case retried
    case failed
    case aborted
  }
  case enqueue([String])
  /// On a connection of the application, in a transaction of its own.
  case join([String])
  case claim(Int)
  case settle([String: Ending], claiming: Int = 0)
  case extend(String)
  /// Cancels all that are ready.
  case cancelReady
  /// Enqueues jobs that expire after a second.
  case lapse([String])
  /// Lets two seconds pass, and claims nothing.
  case expire
  case pause(String)
  case resume
  case replay
  case prune
  case compact
  case importing
  /// Closes the file and opens it again.
  case reopen
}

extension Step {
  var isOnNewConnection: Bool {
    switch self {
    case .join, .reopen: true
    default: false
    }
  }
}

extension Step.Ending {
  func outcome(of job: String) -> Settlement.Outcome {
    switch self {
    case .completed(let replacements): .completed(replacements: replacements.map(newJob))
    case .retried: .retry(after: .zero, message: job)
    case .failed: .failed(message: job)
    case .aborted: .aborted(message: job)
    }
  }

  private var status: RunStatus {
    switch self {
    case .completed(let replacements): replacements.isEmpty ? .completed : .replaced
    case .retried, .failed: .failed
    case .aborted: .aborted
    }
  }

  /// Nil if the job was not running.
  func effect(on job: String, _ table: JobTable) -> JobTable? {
    var table = table
    guard table.running.remove(job) != nil else { return nil }
    table.statuses = (table.statuses + ["\(job) \(status)"]).sorted()
    switch self {
    case .completed(let replacements): table.ready += replacements
    case .retried:
      table.ready.append(job)
      table.failures = (table.failures + [job]).sorted()
    case .failed, .aborted: table.failures = (table.failures + [job]).sorted()
    }
    return table
  }
}

/// Its payload fills half a page.
func newJob(_ name: String) -> NewJob {
  NewJob("a", payload: Payload(name + " " + String(repeating: "x", count: 900)))
}

/// A job that expires after a second. Its name begins with an x.
func lapsingJob(_ name: String) -> NewJob {
  var job = newJob("x" + name)
  job.expires = .after(.seconds(1))
  return job
}
