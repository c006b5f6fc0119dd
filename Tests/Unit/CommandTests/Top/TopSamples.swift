import Qudo
@testable import QudoCommand
import QudoMonitor

/// Samples for the tests of `qudo top`.
enum TopSamples {
  static let now = Timestamp(microseconds: 1_700_000_000_000_000)
  static let options = Screen.Options(clock: { String($0.utc.dropFirst(11).prefix(8)) })

  static func kind(_ name: String, _ change: (inout KindSample) -> Void) -> KindSample {
    var kind = KindSample(Kind(name))
    change(&kind)
    return kind
  }

  static func running(_ id: Int64, _ kind: Kind, _ process: Int64?, secondsAgo: Int)
    -> QueueFigures.RunningJob
  {
    QueueFigures.RunningJob(
      id: id, kind: kind, attempt: 1, dueAt: now.advanced(by: .seconds(-secondsAgo - 2)),
      startedAt: now.advanced(by: .seconds(-secondsAgo)), processID: process)
  }

  /// Four kinds, one of them paused, and two workers.
  static func busy(_ name: String = "jobs") -> QueueSample {
    var state = DatabaseSample.DatabaseState(now: now)
    state.took = .milliseconds(3)
    state.kinds = [
      kind("mail.send") {
        ($0.ready, $0.delayed, $0.running) = (12_345, 20, 2)
        $0.oldestReady = .seconds(725)
        ($0.changePerSecond, $0.completedPerSecond, $0.failuresPerSecond) = (12, 118, 1)
        $0.runTime = Percentiles(p50: .milliseconds(12), p99: .milliseconds(340))
        $0.waitTime = Percentiles(p50: .milliseconds(4200), p99: .seconds(42))
        $0.failuresInMinute = 7
      },
      kind("poll") { _ in },
      kind("report") {
        ($0.ready, $0.running) = (3, 1)
        $0.oldestReady = .seconds(4)
        $0.changePerSecond = -0.5
      },
      kind("thumb") {
        ($0.ready, $0.isPaused) = (1_234_567, true)
        $0.oldestReady = .seconds(11_100)
        $0.changePerSecond = 0
        $0.pause = Pause(
          "thumb", pausedAt: now.advanced(by: .seconds(-600)), endsAt: now.advanced(by: .seconds(3000)),
          reason: "the disk is full")
      },
    ]
    state.workers = [
      WorkerSample(
        processID: 4242,
        jobs: [running(11, "mail.send", 4242, secondsAgo: 95), running(12, "mail.send", 4242, secondsAgo: 3)]),
      WorkerSample(processID: 4243, jobs: [running(13, "report", 4243, secondsAgo: 1)]),
    ]
    (state.hasWorker, state.newestFailure) = (true, 8)
    (state.enqueuedPerSecond, state.endedPerSecond, state.failuresPerSecond) = (1204, 118, 1)
    (state.fileBytes, state.walBytes) = (124_000_000, 1_200_000)
    return QueueSample(
      at: now, sinceBoot: 0, took: .milliseconds(3),
      databases: [DatabaseSample(name: name, result: .success(state))])
  }

  static let failures: [TopState.FailureRow] = [
    (Int64(8), Int64(31), "mail.send", "connection refused by mx.example.org: try again later", true),
    (7, 30, "mail.send", "timeout", false),
  ].map { id, job, kind, message, isFinal in
    TopState.FailureRow(
      database: "jobs",
      failure: FailureRecord(
        id: id, job: job, kind: Kind(kind), reason: .failed, message: message,
        payload: Payload("{\"to\":\"ada@example.org\"}"), uniqueKey: nil, priority: 0, attempt: 3,
        failedAt: now.advanced(by: .seconds(-Int(40 - id))), isFinal: isFinal, replayedAs: nil))
  }

  static func job(_ id: Int) -> StoredJob {
    StoredJob(
      id: Int64(id), kind: "mail.send", state: id % 3 == 0 ? .running : id % 3 == 1 ? .ready : .delayed,
      payload: Payload("{\"to\":\"ada\(id)@example.org\"}"), uniqueKey: id % 2 == 0 ? "order-\(id)" : nil,
      priority: 0, attempt: 1, enqueuedAt: now.advanced(by: .seconds(-60)),
      dueAt: now.advanced(by: .seconds(id % 3 == 2 ? 90 : -60)), leaseExpiresAt: nil,
      startedAt: id % 3 == 0 ? now.advanced(by: .seconds(-5)) : nil)
  }
}

extension QueueSample {
  static var empty: QueueSample {
    let state = DatabaseSample.DatabaseState(now: TopSamples.now)
    return QueueSample(
      at: TopSamples.now, sinceBoot: 0, took: .milliseconds(1),
      databases: [DatabaseSample(name: "jobs", result: .success(state))])
  }

  static var unreachable: QueueSample {
    QueueSample(
      at: TopSamples.now, sinceBoot: 0, took: .zero,
      databases: [
        DatabaseSample(
          name: "far",
          result: .failure(QudoError(.cannotOpen, "/mnt/far.db: there is no such file: check the path")))
      ])
  }

  mutating func state(_ change: (inout DatabaseSample.DatabaseState) -> Void) {
    for index in databases.indices {
      guard case .success(var state) = databases[index].result else { continue }
      change(&state)
      databases[index].result = .success(state)
    }
  }

  mutating func kinds(_ change: (inout [KindSample]) -> Void) { state { change(&$0.kinds) } }
}
