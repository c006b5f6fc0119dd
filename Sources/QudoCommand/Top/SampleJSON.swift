internal import Qudo
internal import QudoMonitor

extension QueueSample {
  /// The sample as `qudo top --json` prints it.
  var json: JSON {
    .object([
      ("at", .time(at)), ("took", .seconds(took)), ("databases", .array(databases.map(\.json))),
    ])
  }
}

extension DatabaseSample {
  fileprivate var json: JSON {
    let state = state
    return .object([
      ("database", .text(name)), ("error", .text(error.map { "\($0)" })),
      ("exact", state.map { .bool($0.isExact) } ?? .null),
      ("worker", state?.hasWorker.map { .bool($0) } ?? .null),
      ("enqueuedPerSecond", .number(state?.enqueuedPerSecond)),
      ("endedPerSecond", .number(state?.endedPerSecond)),
      ("failuresPerSecond", .number(state?.failuresPerSecond)),
      ("failuresInMinute", .count(state?.failuresInMinute)), ("ready", .count(state?.ready)),
      ("delayed", .count(state?.delayed)), ("running", .count(state?.running)),
      ("oldestReady", .seconds(state?.oldestReady)),
      ("paused", state.map { .bool($0.pause != nil) } ?? .null),
      ("fileBytes", state?.fileBytes.map { .integer($0) } ?? .null),
      ("walBytes", state?.walBytes.map { .integer($0) } ?? .null),
      ("kinds", .array(state?.kinds.map(\.json) ?? [])),
      ("workers", .array(state?.workers.map(\.json) ?? [])),
    ])
  }
}

extension KindSample {
  fileprivate var json: JSON {
    .object([
      ("kind", .text(kind.name)), ("ready", .count(ready)), ("delayed", .count(delayed)),
      ("running", .count(running)), ("held", .count(held)), ("paused", .bool(isPaused)),
      ("pausedUntil", .time(pause?.endsAt)), ("pauseReason", .text(pause?.reason)),
      ("oldestReady", .seconds(oldestReady)), ("changePerSecond", .number(changePerSecond)),
      ("completedPerSecond", .number(completedPerSecond)), ("failuresPerSecond", .number(failuresPerSecond)),
      ("failuresInMinute", .count(failuresInMinute)), ("runP50", .seconds(runTime?.p50)),
      ("runP99", .seconds(runTime?.p99)), ("waitP50", .seconds(waitTime?.p50)),
      ("waitP99", .seconds(waitTime?.p99)),
    ])
  }
}

extension WorkerSample {
  fileprivate var json: JSON {
    .object([
      ("process", processID.map { .integer($0) } ?? .null),
      (
        "jobs",
        .array(
          jobs.map { job in
            .object([
              ("id", .integer(job.id)), ("kind", .text(job.kind.name)),
              ("attempt", .integer(Int64(job.attempt))),
              ("startedAt", .time(job.startedAt)),
            ])
          })
      ),
    ])
  }
}

extension JSON {
  fileprivate static func seconds(_ duration: Duration?) -> JSON {
    .number(duration.map { Double($0.wholeMicroseconds) / 1_000_000 })
  }
  fileprivate static func count(_ count: Int?) -> JSON { count.map { .integer(Int64($0)) } ?? .null }
}
