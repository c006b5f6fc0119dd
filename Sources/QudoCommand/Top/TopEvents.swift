internal import Qudo
internal import QudoMonitor

/// What happens to the state of `qudo top`, and what it asks for.
extension TopState {
  enum Tab: CaseIterable, Equatable, Sendable { case kinds, jobs, failures }

  /// What the kinds are sorted by.
  enum Sort: String, CaseIterable, Sendable { case name, ready, running, failures, oldest, change }

  /// What Enter opened.
  enum Detail: Equatable, Sendable {
    case kind(RowID<Kind>)
    case job(RowID<Int64>)
    case failure(RowID<Int64>)
  }

  /// Something to read for the screen.
  enum Request: Equatable, Sendable {
    /// The newest failures of all databases.
    case failures
    /// A page of a kind's jobs.
    case jobs(RowID<Kind>, after: Int64)
    case job(RowID<Int64>)
    case failure(RowID<Int64>)
  }

  /// What was read.
  enum Content: Sendable {
    case failures([FailureRow])
    /// One job more than a page has says that there are others.
    case jobs([StoredJob])
    case job(JobOutcome, [FailureRecord])
    case failure(FailureRecord?)
  }

  /// Something to do to the queue, once it is confirmed.
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
