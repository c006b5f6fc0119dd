internal import Qudo

/// Claims of one kind.
extension Transaction {
  /// The minimum number of jobs that a claim takes by ``takeRows(_:_:_:)``. SQLite's instructions per job in batches of
  /// 10, 20, 50, 100 and 1,000 are 9 % more, equal, 12 %, 17 % and 22 % fewer than when it reads them first.
  private static let smallestGrab = 32
  /// The number of rows that a claim takes one by one. Any number of short rows is cheaper to read and delete together.
  private static let mostGrabs = 4

  /// Claims the first `count` ready jobs of a kind.
  func claimReady(_ kind: ClaimableKind, _ count: Int, token: Int64) throws(QudoError) -> [ClaimedJob] {
    guard count > 0 else { return [] }
    // A driver gets its row in qudo_instance with the first claim that finds a job.
    if connection.instance == nil {
      guard try readyTable.hasAny(of: kind.number) else { return [] }
    }
    var claimed = ClaimedJobs(try newLease(kind.demand, token: token))
    var rows = 0
    if count >= Self.smallestGrab, !connection.cache.frontIsShort {
      rows += try takeRows(kind, count, &claimed)
    }
    if claimed.jobs.count < count { rows += try readFront(kind, count - claimed.jobs.count, &claimed) }
    connection.cache.frontIsShort = claimed.jobs.count < Self.smallestGrab || rows > Self.mostGrabs
    guard !claimed.jobs.isEmpty else { return [] }
    connection.hints.noteRunning(until: claimed.lease.ends, count: claimed.jobs.count)
    connection.readyLists.invalidate(kind.number)
    try freeKeys(claimed)
    return claimed.jobs
  }

  /// Takes the kind's first id ranges, and then reads their jobs: nothing is read before it is taken.
  ///
  /// - Returns: The number of rows.
  private func takeRows(_ kind: ClaimableKind, _ count: Int, _ claimed: inout ClaimedJobs) throws(QudoError)
    -> Int
  {
    var ids = IDRanges()
    var (left, rows) = (count, 0)
    while left > 0, rows < Self.mostGrabs {
      let part = try readyTable.takePart(left, of: kind.number)
      let taken = if let part { part } else { try readyTable.takeRow(atMost: left, of: kind.number) }
      guard let row = taken else { break }
      ids.append(row.ids)
      left -= Int(row.last - row.first) + 1
      rows += 1
    }
    for range in ids.ranges {
      try jobTable.claimed(range) { row throws(QudoError) in
        let job = ClaimedRow(row: row)
        guard job.kind == kind.number else { throw ReadyRow.missing(kind.number) }
        claimed.add(job, kind.demand.kind)
      }
    }
    guard claimed.jobs.count == count - left else { throw ReadyRow.missing(kind.number) }
    try insertRunning(ids.ranges, claimed.lease)
    return rows
  }

  /// Reads the kind's first ready jobs, and then takes them, in three statements for any number of rows.
  ///
  /// - Returns: The number of rows.
  private func readFront(_ kind: ClaimableKind, _ count: Int, _ claimed: inout ClaimedJobs) throws(QudoError)
    -> Int
  {
    var front = ReadyFront(kind: kind.number)
    let before = claimed.jobs.count
    let hasPlaces = try groupTable.hasAny()
    try readyTable.front(kind.number, count) { row throws(QudoError) in
      let job = ClaimedRow(row: row)
      guard !job.isMissing else { throw ReadyRow.missing(kind.number) }
      try front.read(
        job, due: hasPlaces ? row.integer(12) : job.due, last: row.integer(10), first: row.integer(11))
      claimed.add(job, kind.demand.kind)
    }
    let read = claimed.jobs.count - before
    guard let last = front.rows.last else { return 0 }
    guard last.isRead || read == count else { throw ReadyRow.missing(kind.number) }
    try start(front, claimed.lease)
    try readyTable.removeFront(front.rows)
    return front.rows.count
  }

  /// Files the claimed jobs as running: one row for each id range, or one for each ready row, whichever is fewer.
  private func start(_ front: ReadyFront, _ lease: RunningRange) throws(QudoError) {
    let ranges = front.ids.ranges
    guard let last = front.rows.last(where: \.isRead), ranges.count > 4, ranges.count * 2 > front.rows.count
    else { return try insertRunning(ranges, lease) }
    try runningTable.insertFront(upTo: last, lease)
    if let part = front.rows.last, !part.isRead { try insertRunning([part.first...part.read], lease) }
  }
}

/// The first rows of a kind, collected while a claim reads their jobs.
private struct ReadyFront {
  let kind: Int64
  private(set) var rows: [ReadyRow] = []
  /// The ids of the jobs; a range may span several rows.
  private(set) var ids = IDRanges()

  init(kind: Int64) { self.kind = kind }

  /// Adds the next job and its row. Throws if a job of a row was skipped.
  ///
  /// - Parameter due: The due time in the row: that of the job, or its place among the groups.
  @inline(__always)
  mutating func read(_ job: ClaimedRow, due: Int64, last: Int64, first: Int64) throws(QudoError) {
    let id = job.id
    let key = SortKey(kind: kind, rank: job.rank, due: due)
    if let row = rows.last, !row.isRead {
      guard row.last == last, row.key == key, row.read &+ 1 == id else { throw ReadyRow.missing(kind) }
      rows[rows.count - 1].read = id
    } else {
      guard first == id, first <= last else { throw ReadyRow.missing(kind) }
      rows.append(ReadyRow(key: key, first: first, last: last, read: id))
    }
    ids.append(id)
  }
}
