internal import Qudo

extension Array {
  /// Those that answered; of the others it is said why they did not.
  ///
  /// - Returns: besides that, whether all did.
  /// - Throws: the error of the only one; of several, `unreachable` when none answered.
  func answered<Value: Sendable>() throws -> (answers: [(database: String, rows: Value)], isWhole: Bool)
  where Element == DatabaseAnswer<Value> {
    if count == 1 { return ([(self[0].database, try self[0].result.get())], true) }
    var answers: [(database: String, rows: Value)] = []
    var troubles: [String] = []
    for answer in self {
      switch answer.result {
      case .success(let value): answers.append((answer.database, value))
      case .failure(let error):
        troubles.append(
          "\(SafeText.terminalSafe(answer.database)): \(SafeText.terminalSafe("\(error)", limit: 500))")
      }
    }
    guard !answers.isEmpty else {
      throw QudoError(
        .unreachable, "none of the databases can be reached: \(troubles.joined(separator: "; "))")
    }
    for trouble in troubles { printError(trouble) }
    return (answers, troubles.isEmpty)
  }
}
