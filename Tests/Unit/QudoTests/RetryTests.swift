import Foundation
import Testing

@testable import Qudo

@Suite struct RetryTests {
  private func job(attempt: Int) -> ClaimedJob {
    ClaimedJob(
      lease: Lease(job: 1, token: 1, holder: 1, expiresAt: 0), kind: "a", payload: Payload([]), priority: 0,
      uniqueKey: nil, attempt: attempt,
      enqueuedAt: Timestamp(microseconds: 0), dueAt: Timestamp(microseconds: 0))
  }

  private func delay(_ delay: RetryDelay, _ attempt: Int, random: Double = 0) -> Duration {
    delay.delay(after: attempt, of: job(attempt: attempt), random: random)
  }

  @Test func exponentialDelaysDoubleUpToTheirCap() {
    let policy = RetryDelay.exponential(base: .seconds(1), cap: .seconds(60))
    #expect((1...8).map { delay(policy, $0) } == [1, 2, 4, 8, 16, 32, 60, 60].map { .seconds($0) })
    #expect(delay(policy, .max) == .seconds(60))
    // No attempt is below 1, but a file may say so.
    #expect(delay(policy, .min) == .seconds(1))
    #expect(delay(.exponential(base: .seconds(90), cap: .seconds(60)), 1) == .seconds(60))
  }

  @Test func jitterMakesThemShorterByAShare() {
    let policy = RetryDelay.exponential(base: .seconds(8), cap: .seconds(60), jitter: 0.5)
    #expect(delay(policy, 1, random: 0) == .seconds(8))
    #expect(delay(policy, 1, random: 0.5) == .seconds(6))
    #expect(delay(policy, 1, random: 1) == .seconds(4))
  }

  @Test(
    "delays that make no sense are refused",
    arguments: [
      RetryDelay.exponential(base: .seconds(10), cap: .seconds(1)),
      .exponential(base: .seconds(-1), cap: .seconds(1)),
      .exponential(base: .seconds(1), cap: .seconds(2), jitter: 1.5),
      .exponential(base: .seconds(1), cap: .seconds(2), jitter: .nan),
    ]) func refused(delay: RetryDelay) throws
  {
    let error = #expect(throws: QudoError.self) { try JobPolicy(retryDelay: delay).check("a") }
    #expect(error?.code == .invalidArgument)
  }

  @Test(
    "delays that make sense are not refused",
    arguments: [
      RetryDelay.exponential(base: .seconds(1), cap: .seconds(1), jitter: 1), .fixed(.zero),
      .exponential(base: .zero, cap: .zero),
    ]) func allowed(delay: RetryDelay) throws
  { try JobPolicy(retryDelay: delay).check("a") }

  @Test("a failure's message is what a localized error says") func localized() throws {
    struct Refused: LocalizedError { var errorDescription: String? { "the card was refused" } }
    struct Silent: LocalizedError {}
    for (error, message) in [(Refused(), "the card was refused"), (Silent(), "Silent()")]
      as [(any Error, String)]
    {
      for error in [error, JobHandler.Failure(error: error, retryDelay: .zero)] {
        guard
          case .failed(let logged) = settlementOutcome(
            failure: error, job: job(attempt: 1), policy: JobPolicy(), random: 0)
        else {
          Issue.record("it has not failed")
          continue
        }
        #expect(logged == message)
      }
    }
  }

  @Test func noDelayIsNegative() {
    #expect(delay(.fixed(.seconds(-1)), 1) == .zero)
    #expect(delay(.computed { _, _ in .seconds(-1) }, 1) == .zero)
    #expect(delay(.exponential(base: .seconds(-1), cap: .seconds(1)), 3) == .zero)
  }

  @Test("The attempt and the policy decide the outcome of a failure")
  func attemptAndPolicyDecideTheOutcome() throws {
    struct Broken: Error {}
    var policy = JobPolicy()
    policy.maxRetries = 2
    let outcomes = [1, 2, 3].map {
      settlementOutcome(failure: Broken(), job: job(attempt: $0), policy: policy, random: 0)
    }
    guard case .retry = outcomes[0], case .retry = outcomes[1], case .failed("Broken()") = outcomes[2] else {
      Issue.record("\(outcomes)")
      return
    }
    guard
      case .aborted("no") = settlementOutcome(
        failure: Abort("no"), job: job(attempt: 1), policy: policy, random: 0)
    else { Issue.record(); return }
    let snooze = settlementOutcome(
      failure: Snooze(for: .seconds(3), countsAttempt: true), job: job(attempt: 9), policy: policy, random: 0)
    guard case .snoozed(.seconds(3), true) = snooze else { Issue.record("\(snooze)"); return }
  }

  @Test func aVeryLongMessageIsCutForTheLog() {
    guard
      case .failed(let message) = settlementOutcome(
        failure: Abortless(description: String(repeating: "é", count: 20_000)), job: job(attempt: 1),
        policy: JobPolicy(), random: 0)
    else { Issue.record(); return }
    #expect(message.utf8.count < 16_400 && message.hasSuffix("…"))
  }

  private struct Abortless: Error, CustomStringConvertible { let description: String }
}
