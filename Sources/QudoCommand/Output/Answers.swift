internal import Qudo

extension Array {
  /// Returns the databases that answered, and prints why the others did not.
  ///
  /// - Returns: the answers, and whether all databases answered.
  /// - Throws: the error of the only database; with several, `unreachable` if none answered.
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
        .unreachable, "cannot reach any of the databases: \(troubles.joined(separator: "; "))")
    }
    for trouble in troubles { printError(trouble) }
    return (answers, troubles.isEmpty)
  }
}
