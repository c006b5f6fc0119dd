internal import Qudo

/// A transaction or a snapshot: it reaches each table through a gateway that has all of the table's SQL.
///
/// A gateway is a connection with another name, and costs nothing. It keeps the connection's hints about its table true.
protocol TableAccess {
  var connection: Connection { get }
}

extension TableAccess {
  var kindTable: KindTable { connection.kindTable }
  var jobTable: JobTable { connection.jobTable }
  var readyTable: ReadyTable { connection.readyTable }
  var delayedTable: DelayedTable { connection.delayedTable }
  var runningTable: RunningTable { connection.runningTable }
  var instanceTable: InstanceTable { connection.instanceTable }
  var receiptTable: ReceiptTable { connection.receiptTable }
  var failureTable: FailureTable { connection.failureTable }
  var statusTable: StatusTable { connection.statusTable }
  var pauseTable: PauseTable { connection.pauseTable }
  var rateTable: RateTable { connection.rateTable }
  var placeTable: PlaceTable { connection.placeTable }
  var heldTable: HeldTable { connection.heldTable }
  var keyRuleTable: KeyRuleTable { connection.keyRuleTable }
  var keyRateTable: KeyRateTable { connection.keyRateTable }
  var stopTable: StopTable { connection.stopTable }
  var restTable: RestTable { connection.restTable }
  var groupTable: GroupTable { connection.groupTable }
  var cancelTable: CancelTable { connection.cancelTable }
  var scheduleTable: ScheduleTable { connection.scheduleTable }
  var infoTable: InfoTable { connection.infoTable }
}

extension Connection {
  var kindTable: KindTable { KindTable(connection: self) }
  var jobTable: JobTable { JobTable(connection: self) }
  var readyTable: ReadyTable { ReadyTable(connection: self) }
  var delayedTable: DelayedTable { DelayedTable(connection: self) }
  var runningTable: RunningTable { RunningTable(connection: self) }
  var instanceTable: InstanceTable { InstanceTable(connection: self) }
  var receiptTable: ReceiptTable { ReceiptTable(connection: self) }
  var failureTable: FailureTable { FailureTable(connection: self) }
  var statusTable: StatusTable { StatusTable(connection: self) }
  var pauseTable: PauseTable { PauseTable(connection: self) }
  var rateTable: RateTable { RateTable(connection: self) }
  var placeTable: PlaceTable { PlaceTable(connection: self) }
  var heldTable: HeldTable { HeldTable(connection: self) }
  var keyRuleTable: KeyRuleTable { KeyRuleTable(connection: self) }
  var keyRateTable: KeyRateTable { KeyRateTable(connection: self) }
  var stopTable: StopTable { StopTable(connection: self) }
  var restTable: RestTable { RestTable(connection: self) }
  var groupTable: GroupTable { GroupTable(connection: self) }
  var cancelTable: CancelTable { CancelTable(connection: self) }
  var scheduleTable: ScheduleTable { ScheduleTable(connection: self) }
  var infoTable: InfoTable { InfoTable(connection: self) }
  var schemaTable: SchemaTable { SchemaTable(connection: self) }
}

extension QudoError {
  static let modified = "the file is damaged, or another program modified it"

  /// Returns the true error if SQLite reported "full" only because an AUTOINCREMENT table has used the largest id.
  func orExhausted(_ table: StaticString, of connection: Connection) throws(QudoError) -> QudoError {
    guard code == .diskFull else { return self }
    let highest = try connection.integer(
      """
      SELECT max(coalesce((SELECT max(id) FROM \(table)), 0),
        coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = ?), 0))
      """, values: [.text("\(table)")])
    guard highest == .max else { return self }
    return QudoError(.corrupt, "\(table) has no free id: another program modified the file", cause: cause)
  }
}
