internal import Qudo
internal import QudoMonitor

/// The events that change the state of `qudo top`, and the actions that it requests.
extension TopState {
  enum Tab: CaseIterable, Equatable, Sendable { case kinds, jobs, failures }

  /// The sort order of the kinds.
  enum Sort: String, CaseIterable, Sendable { case name, ready, running, failures, oldest, change }

  /// The detail page that Enter opened.
  enum Detail: Equatable, Sendable {
    case kind(RowID<Kind>)
    case job(RowID<Int64>)
    case failure(RowID<Int64>)
  }

  /// A read that the screen needs.
  enum Request: Equatable, Sendable {
    /// The newest failures of all databases.
    case failures
    /// A page of a kind's jobs.
    case jobs(RowID<Kind>, after: Int64)
    case job(RowID<Int64>)
    case failure(RowID<Int64>)
  }

  /// The result of a ``Request``.
  enum Content: Sendable {
    case failures([FailureRow])
    /// One job more than fits on a page, if there are further pages.
    case jobs([StoredJob])
    case job(JobOutcome, [FailureRecord])
    case failure(FailureRecord?)
  }

  /// A change of the queue, performed once the user confirms it.
  enum Change: Equatable, Sendable {
    case pause(RowID<Kind>)
    case resume(RowID<Kind>)
    case cancel(RowID<Int64>)
    case replay(RowID<Int64>)
  }

  enum Event: Sendable {
    case key(Key)
    case resize(ScreenSize)
    case sample(QueueSample)
    case loaded(Request, Result<Content, QudoError>)
    /// The text is safe for a terminal.
    case changed(Result<String, QudoError>)
  }

  enum Action: Equatable, Sendable {
    case quit, suspend, redraw
    case load(Request)
    case perform(Change)
  }

  struct Message: Equatable, Sendable {
    var text: String
    var isError: Bool
  }

  /// A running job of a sample.
  struct JobRow: Equatable, Sendable {
    var database: String
    var job: QueueFigures.RunningJob
    var id: RowID<Int64> { RowID(database, job.id) }
  }

  struct FailureRow: Equatable, Sendable {
    var database: String
    var failure: FailureRecord
    var id: RowID<Int64> { RowID(database, failure.id) }
  }

  struct KindRow: Equatable, Sendable {
    var database: String
    var sample: KindSample
    var id: RowID<Kind> { RowID(database, sample.kind) }
  }
}
