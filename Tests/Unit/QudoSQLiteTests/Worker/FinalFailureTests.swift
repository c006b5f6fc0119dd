import ForwardingDriver
import Foundation
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Final failures that enqueue a job of another kind.
@Suite struct FinalFailureTests {
  let my: Harness

  init() throws { my = try Harness() }

  private func policy(_ target: Kind?, maxRetries: Int = 0) -> JobPolicy {
    JobPolicy(maxRetries: maxRetries, onFinalFailure: target)
  }

  private struct Broken: Error, CustomStringConvertible { let description = "broken" }

  @Test("the job of a final failure knows what failed", .timeLimit(.minutes(5))) func told() async throws {
    let queue = Queue(my.driver)
    _ = try await queue.enqueue(
      NewJob("mail", payload: Payload("ada"), priority: 5, metadata: ["tenant": "7"]))
    let heard = Log()
    let handlers = [
      JobHandler("mail", policy: policy("mail.failed", maxRetries: 1)) { _ in throw Broken() },
      JobHandler("mail.failed", policy: policy(nil)) { context in
        let failed = try #require(context.failedJob)
        heard.add(
          "\(failed.kind) \(failed.id) \(failed.reason) \(failed.attempt) \(failed.message) \(context.payload.bytes.count) \(context.metadata["tenant"] ?? "")"
        )
      },
    ]
    let summary = try await my.worker(handlers).workUntilEmpty()
    #expect(heard.entries == ["mail 1 failed 2 broken 3 7"])
    #expect(summary.completed == 1 && summary.failed == 1 && summary.retried == 1)
  }

  @Test("the worker that started last decides where failures go", .timeLimit(.minutes(5)))
  func lastOne() async throws {
    let queue = Queue(my.driver)
    for target in ["x", "y", nil] as [Kind?] {
      _ = try await queue.enqueue(NewJob("a"))
      let handler = JobHandler("a", policy: policy(target)) { _ in throw Broken() }
      let worker = try my.worker([handler])
      #expect(try await worker.workUntilEmpty().failed == 1)
      #expect(
        try await my.driver.failureRoutes() == (target.map { [FailureRoute("a", to: $0)] } ?? []))
    }
    #expect(try await my.driver.count().map(\.kind) == ["x", "y"])
  }

  @Test("a worker that changes nothing about failures writes nothing") func nothingNew() async throws {
    let routes = [FailureRoute("a", to: "b"), FailureRoute("c", to: nil)]
    try await my.driver.setFailureRoutes(routes)
    let size = { try FileManager.default.attributesOfItem(atPath: my.file.path + "-wal")[.size] as? Int }
    let before = try #require(try size())
    try await my.driver.setFailureRoutes(routes)
    #expect(try size() == before)
    #expect(try my.file.rows("SELECT count(*) FROM qudo_kind") == ["2"])
  }

  @Test("a kind's failures cannot go to itself, nor to a database that cannot do it") func refused() throws {
    let itself = #expect(throws: QudoError.self) {
      try Worker(Queue(my.driver), handlers: [JobHandler("a", policy: policy("a")) { _ in }])
    }
    #expect(itself?.code == .invalidArgument)
    let plain = #expect(throws: QudoError.self) {
      try Worker(
        Queue(Uncontrolled(base: my.driver)), handlers: [JobHandler("a", policy: policy("b")) { _ in }])
    }
    #expect(plain?.code == .invalidArgument)
  }
}

/// A driver without control verbs.
private struct Uncontrolled: PlainForwardingDriver {
  let base: any Driver
  var capabilities: Capabilities { base.capabilities.subtracting(.control) }
}
