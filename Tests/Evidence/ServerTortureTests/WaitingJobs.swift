#if MySQL
import Foundation

/// How long jobs wait that a worker could take: ready ones, delayed ones that are due, running ones whose lease has expired, but for those
/// of paused kinds.
///
/// Rows are followed from look to look. A pause of the machine between two looks counts for little.
struct WaitingJobs {
  struct Row: Hashable, Sendable {
    let state: String
    let kind: String
    let ranking: Int64
    /// Another one when the job comes back.
    let time: Int64
    let id: Int64
    /// The number of its kind, which ``kind`` need not be.
    let ownKind: Int64

    init?(_ columns: [String]) {
      guard columns.count == 6, let ranking = Int64(columns[2]), let time = Int64(columns[3]),
        let id = Int64(columns[4]), let ownKind = Int64(columns[5])
      else { return nil }
      (state, kind, self.ranking, self.time, self.id) = (columns[0], columns[1], ranking, time, id)
      self.ownKind = ownKind
    }

    /// Whether a worker takes it before the other one.
    func comesBefore(_ other: Row) -> Bool { (ranking, time, id) < (other.ranking, other.time, other.id) }
    /// In whose order it is.
    var line: String { "\(state) \(kind)" }
  }

  /// In seconds.
  private struct Wait {
    var whole = 0.0
    /// The part in which others were taken that come after it, or none of its line.
    var left = 0.0
  }

  private static let now = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"
  /// Without those that fill the workers' time.
  private static let query = """
    SELECT 'ready', kind, ranking, due, id, kind FROM qudo_ready WHERE ranking < \(Filling.ranking)
    UNION ALL SELECT 'delayed', 0, 0, due, id, kind FROM qudo_delayed WHERE due <= \(now) AND ranking < \(Filling.ranking)
    UNION ALL SELECT 'expired', 0, 0, ends, id, kind FROM qudo_running WHERE ends <= \(now) AND ranking < \(Filling.ranking)
    """
  /// The numbers of the paused kinds, 0 for everything.
  private static let pauses = "SELECT kind FROM qudo_pause WHERE ends IS NULL OR ends > \(now)"
  /// The most that counts between two looks.
  private static let longestGap = 0.25

  /// How long those waited that are gone, in seconds.
  private(set) var waits: [Double] = []
  /// Of those that were left waiting for longer than ``longest``: which, and for how long.
  private(set) var late: [String] = []
  private var waiting: [Row: Wait] = [:]
  /// Those that were waited for in vain.
  private var abandoned: Set<Row> = []
  private var last: UInt64?
  /// A job is left waiting no longer than this while a worker is healthy, in seconds.
  private let longest: Double

  init(longest: Double) { self.longest = longest }

  /// A fault is over: what waits, waits from now on.
  mutating func begin() {
    last = nil
    (waits, waiting, late) = ([], [:], [])
  }

  mutating func look(_ session: ServerSession) throws {
    let paused = Set(try session.rows(Self.pauses).compactMap { Int64($0[0]) })
    let isPaused = { (row: Row) in paused.contains(0) || paused.contains(row.ownKind) }
    let rows = Set(try session.rows(Self.query).compactMap { Row($0) }.filter { !isPaused($0) })
    waiting = waiting.filter { !isPaused($0.key) }
    let now = DispatchTime.now().uptimeNanoseconds
    let gap = last.map { min(Double(now - $0) / 1e9, Self.longestGap) } ?? 0
    last = now
    // Of each line the first and the last one that were taken.
    var taken: [String: (first: Row, last: Row)] = [:]
    for row in waiting.keys where !rows.contains(row) {
      let before = taken[row.line] ?? (row, row)
      taken[row.line] = (
        row.comesBefore(before.first) ? row : before.first, before.last.comesBefore(row) ? row : before.last
      )
    }
    for (row, wait) in waiting {
      var wait = wait
      wait.whole += gap
      // Where those before it are taken and none after it, it is not left waiting: the workers have not come to it.
      let isNext = taken[row.line].map { $0.first.comesBefore(row) && !row.comesBefore($0.last) } ?? false
      if !isNext { wait.left += gap }
      if rows.contains(row) { waiting[row] = wait } else { end(row, wait) }
    }
    abandoned.formIntersection(rows)
    for row in rows where waiting[row] == nil && !abandoned.contains(row) { waiting[row] = Wait() }
  }

  private mutating func end(_ row: Row, _ wait: Wait) {
    waits.append(wait.whole)
    waiting[row] = nil
    if wait.left > longest {
      late.append("job \(row.id) was left waiting, \(row.state), for \(Int(wait.left * 1000)) ms")
    }
  }

  /// The longest of those that wait.
  var longestWhole: Double { waiting.values.map(\.whole).max() ?? 0 }

  /// What is still there is not waited for any more.
  mutating func abandon() {
    for (row, wait) in waiting where wait.whole > longest {
      end(row, wait)
      abandoned.insert(row)
    }
  }
}
#endif
