import Qudo
import QudoSQLSupport
import Testing

/// Numbers that files and servers have.
@Suite struct LogNumbersTests {
  @Test("the numbers of reasons and statuses stay as they are") func numbers() {
    let reasons: [FailureReason] = [.failed, .lost, .aborted, .cancelled, .expired, .dropped]
    #expect(reasons.map(\.number) == [0, 1, 2, 3, 4, 5] && reasons.count == FailureReason.allCases.count)
    #expect(reasons.map(\.number).map { FailureReason(number: $0) } == reasons)
    let statuses: [RunStatus] = [.completed, .replaced, .failed, .aborted]
    #expect(statuses.map(\.number) == [0, 1, 2, 3] && statuses.count == RunStatus.allCases.count)
    #expect(statuses.map(\.number).map { RunStatus(number: $0) } == statuses)
  }

  @Test("a number of a newer version is read as a failure", arguments: [-1, 6, .max, .min] as [Int64])
  func newerNumber(_ number: Int64) {
    #expect(FailureReason(number: number) == .failed && RunStatus(number: number) == .failed)
  }

  @Test("a run that ends the job or fails has a status") func statusOfOutcome() {
    #expect(RunStatus(.completed()) == .completed)
    #expect(RunStatus(.completed(replacements: [NewJob("a", payload: Payload([]))])) == .replaced)
    #expect(RunStatus(.failed(message: "")) == .failed && RunStatus(.aborted(message: "")) == .aborted)
    #expect(RunStatus(.released) == nil)
  }
}
