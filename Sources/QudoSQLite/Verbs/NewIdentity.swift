internal import Qudo

// A restored file continues as a separate file.
extension Transaction {
  /// Ends all leases: the workers that held them worked on another file. No lease counts as expired.
  ///
  /// A running job is ready again, or leaves if it was to be cancelled.
  func endAllLeases() throws(QudoError) {
    var all: [ClosedRange<Int64>] = []
    var once = Once()
    try runningTable.all { row throws(QudoError) in
      if let ids = once.ids(row.integer(0), row.integer(1)) { all.append(ids) }
    }
    try runningTable.deleteAll()
    for range in all {
      for id in try jobTable.ids(range, limit: .max) where try !endIfMarked(id) { try readyTable.insert(id) }
    }
    try instanceTable.deleteAll()
  }

  /// Gives the file a new identity. Its ids continue above all that it has given, and above `highestID`.
  func renewIdentity(above highestID: Int64) throws(QudoError) {
    let known = try infoTable.highestID()
    try infoTable.renewGeneration(infoTable.generation(), highestID: max(known, highestID))
    try infoTable.setUnsynced(false)
  }
}
