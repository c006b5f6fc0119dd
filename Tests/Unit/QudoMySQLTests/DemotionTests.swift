#if MySQL
@testable import QudoMySQL
import Qudo
import Testing

/// The errors of servers that no longer take writes. A test server gives only the first of them.
@Suite struct DemotionTests {
  @Test(
    "each error of a server that has become read-only is told as such, and tried once more over a new connection",
    arguments: [1290, 1792, 1836, 3100, 3989] as [UInt32])
  func demotion(code: UInt32) throws {
    let cause = MySQLError(code: code, message: "no writes here")
    #expect(cause.isOfDemotion)
    #expect(!cause.isOfConnection && !cause.isOfContention && !cause.isOfStop && !cause.isShort)
    #expect(!cause.isOfRefusal && !cause.isOfMissingTables && !cause.isDuplicate)
    let error = QudoError.mysql(cause)
    #expect(error.code == .readOnly && error.mysql?.code == code)
    var retry = Retry()
    func refusal(isLate: Bool = false) -> QudoError? {
      do throws(QudoError) {
        _ = try retry.pause(after: error, isLate: isLate)
        return nil
      } catch {
        return error
      }
    }
    #expect(refusal()?.code == nil)
    #expect(refusal()?.code == .readOnly)
    retry = Retry()
    #expect(refusal(isLate: true)?.code == .readOnly)
  }

  @Test("other errors are no demotion", arguments: [1036, 1205, 1213, 1317, 2013, 3024] as [UInt32])
  func others(code: UInt32) {
    let cause = MySQLError(code: code, message: "something else")
    #expect(!cause.isOfDemotion && QudoError.mysql(cause).code != .readOnly)
  }
}
#endif
