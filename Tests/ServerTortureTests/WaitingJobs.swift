#if MySQL
import Foundation

/// How long jobs wait that a worker could take: ready ones, delayed ones that are due, running ones whose lease has expired.
///
/// Rows are followed from look to look. A wait is what the looks have seen of it; a pause of the machine between two of them counts
/// for little.
struct WaitingJobs {
  struct Row: Hashable {
    let state: String
    let id: String
    /// Another one when the job comes back.
    let time: String
  }

  private static let now = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"
  private static let query = """
    SELECT 'ready', id, due FROM qudo_ready UNION ALL SELECT 'delayed', id, due FROM qudo_delayed WHERE due <= \(now)
    UNION ALL SELECT 'expired', id, ends FROM qudo_running WHERE ends <= \(now)
    """
  /// The most that counts between two looks.
  private static let longestGap = 0.25

  /// Seconds of those that are gone.
  private(set) var waits: [Double] = []
  /// Seconds of those that wait still.
  private(set) var waiting: [Row: Double] = [:]
  private var last: UInt64?

  /// Rows that were waited for in vain before, and are not waited for any more.
  private(set) var abandoned: Set<Row> = []

  mutating func look(_ session: ServerSession) throws {
    let rows = Set(try session.rows(Self.query).map { Row(state: $0[0], id: $0[1], time: $0[2]) })
    let now = DispatchTime.now().uptimeNanoseconds
    let gap = last.map { min(Double(now - $0) / 1e9, Self.longestGap) } ?? 0
    last = now
    for (row, wait) in waiting where !rows.contains(row) {
      waits.append(wait + gap)
      waiting[row] = nil
    }
    abandoned.formIntersection(rows)
    for row in rows where !abandoned.contains(row) { waiting[row] = waiting[row].map { $0 + gap } ?? 0 }
  }

  /// A fault is over: what waits, waits from now on.
  mutating func begin() {
    last = nil
    (waits, waiting) = ([], [:])
  }

  /// The longest that waits.
  var longest: Double { waiting.values.max() ?? 0 }

  /// What waits for longer than that is not waited for any more.
  mutating func abandon(above seconds: Double) {
    for (row, wait) in waiting where wait > seconds {
      waits.append(wait)
      waiting[row] = nil
      abandoned.insert(row)
    }
  }
}
#endif
