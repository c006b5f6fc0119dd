internal import Qudo

/// What a verb works with, inside a transaction that it may share with others.
struct Transaction {
  /// What is known and what is still to be done before or after the commit.
  final class Effects {
    /// Workers may have something to claim.
    var wakes = false
    fileprivate var highest: HighestID?
  }

  let connection: Connection
  let now: ClockReading
  /// The number of `now.boot` in this file.
  let boot: Int64
  let effects: Effects

  /// Before the commit.
  func finish() throws(QudoError) {
    guard let highest = effects.highest, highest.mustBeStored else { return }
    try connection.run("UPDATE qudo_info SET value = ? WHERE key = 'highest_id'", .integer(highest.id))
  }
}

/// The highest id that was ever given to a job.
///
/// Ids are never reused. AUTOINCREMENT would write a page of its own in each commit for that; here the highest id is
/// read once a transaction, and written only when the job that has it goes.
struct HighestID {
  fileprivate(set) var id: Int64
  fileprivate var mustBeStored = false
}

extension Transaction {
  /// An id that no job has ever had.
  func nextID() throws(QudoError) -> Int64 {
    var highest = try highestID()
    guard highest.id < .max else { throw QudoError(.corrupt, "no id is left: the file was changed by others") }
    highest.id += 1
    // The job that has it keeps it in mind.
    highest.mustBeStored = false
    effects.highest = highest
    return highest.id
  }

  /// To be called before jobs are deleted for good.
  func willForget(highest id: Int64) throws(QudoError) {
    var highest = try highestID()
    if id >= highest.id { highest.mustBeStored = true }
    effects.highest = highest
  }

  private func highestID() throws(QudoError) -> HighestID {
    if let known = effects.highest { return known }
    let id = try connection.integer(
      "SELECT max(coalesce((SELECT max(id) FROM qudo_job), 0), (SELECT value FROM qudo_info WHERE key = 'highest_id'))")
    guard let id else { throw QudoError(.corrupt, "the row of the highest id is missing from qudo_info") }
    return HighestID(id: id)
  }
}
