internal import Qudo
internal import QudoMonitor

/// The tab of the failures, and one failure.
extension Screen {
  func failureTable(withState: Bool) -> ScreenTable<TopState.FailureRow> {
    typealias Column = ScreenTable<TopState.FailureRow>.Column
    var columns = [
      Column(title: "FAILED", width: 8, rank: 1) { row, _ in
        let age = row.failure.failedAt.until(now(row.database))
        return (
          age < .seconds(86_400) ? options.clock(row.failure.failedAt) : FigureText.duration(age) + " ago",
          .dim
        )
      },
      Column(title: "KIND", width: 14, alignment: .left, rank: 2) { row, _ in
        (CellText.safe(row.failure.kind.name, limit: 256), .plain)
      },
      Column(title: "JOB", width: state.isSeveral ? 14 : withState ? 9 : 11, rank: 3) { row, _ in
        ((withState ? "" : "job ") + jobName(row.database, row.failure.job), .plain)
      },
      Column(title: "MESSAGE", width: 12, alignment: .left, rank: 0, takesRest: true) { row, _ in
        (CellText.safe(row.failure.message), row.failure.isFinal ? .bad : .warning)
      },
    ]
    if withState {
      columns.insert(
        Column(title: "TRY", width: 3, rank: 5) { row, _ in ("\(row.failure.attempt)", .plain) }, at: 3)
      columns.insert(
        Column(title: "STATE", width: 9, alignment: .left, rank: 4) { row, _ in
          (row.failure.shortState, .plain)
        }, at: 4)
    }
    return ScreenTable(columns, width: size.columns - 3, mark: mark)
  }

  var noFailures: StyledLine {
    if let error = state.failuresError { return StyledLine("  " + CellText.safe("\(error)"), .bad) }
    return StyledLine("  no failures", .good)
  }

  func failureText(_ id: RowID<Int64>) -> [StyledLine] {
    let head = StyledLine(" Failure " + jobName(id.database, id.value), .heading)
    let now = now(id.database)
    guard case .failure(let found)? = state.content else { return waiting(head) }
    guard let failure = found else { return [head] + field("state", "it is no longer in the log", .dim) }
    var lines = [head]
    lines += field("kind", CellText.safe(failure.kind.name, limit: 256), .bold)
    lines += field("job", "\(failure.job), attempt \(failure.attempt)")
    lines += field("state", failure.longState, failure.isFinal ? .bad : .warning)
    lines += time("failed", failure.failedAt, now)
    if let key = failure.uniqueKey { lines += field("unique key", CellText.safe(key)) }
    lines += field("message", CellText.safe(failure.message, limit: 4000))
    return lines + payload(failure.payload)
  }
}

extension FailureRecord {
  /// The consequence of the failed run, in nine columns.
  var shortState: String {
    if isResolved { return "resolved" }
    if replayedAs != nil { return "replayed" }
    return isFinal ? reason.rawValue : "retried"
  }

  /// The consequence of the failed run.
  var longState: String {
    if isResolved { return "\(reason.rawValue), resolved" }
    if let replayedAs { return replayedAs == 0 ? "replayed" : "replayed as job \(replayedAs)" }
    return isFinal ? "\(reason.rawValue) for good" : "\(reason.rawValue), and retried"
  }
}
