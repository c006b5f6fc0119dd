internal import Qudo

extension Snapshot {
  func failures(_ query: LogQuery) throws(QudoError) -> [FailureRecord] {
    let kinds = try numbers(of: query.kinds)
    guard query.limit > 0, kinds?.isEmpty != true else { return [] }
    return try failureTable.page(query, kinds)
  }

  func statuses(_ query: LogQuery) throws(QudoError) -> [StatusRecord] {
    let kinds = try numbers(of: query.kinds)
    guard query.limit > 0, kinds?.isEmpty != true else { return [] }
    return try statusTable.page(query, kinds)
  }
}
