internal import Qudo

/// The running jobs, by the processes that hold them.
struct LeaseDiagnosis {
  private(set) var dead: [Finding] = []
  private(set) var expired: [Finding] = []
  /// The kinds of the jobs under valid leases; nil if there are too many jobs to look.
  private(set) var kinds: Set<Int64>? = []
  /// The number of living drivers that have claimed jobs; nil if a driver without a kernel lock may live.
  private(set) var workers: Int?

  private struct Held {
    var jobs: Int64 = 0
    var late: Int64 = 0
    var firstEnd = Int64.max
  }
  private static let mostJobs: Int64 = 100_000
  /// The minimum age of a lease's end, in microseconds.
  private static let lateness: Int64 = 60_000_000

  init(_ snapshot: Snapshot) throws(QudoError) {
    let now = snapshot.now
    let instances = try snapshot.instanceTable.all()
    let alive = instances.filter { $0.isAlive(snapshot.locks, now) }
    workers = alive.allSatisfy(\.isLocked) ? alive.count : nil
    let living = Set(alive.map(\.id))
    var held: [Int64: Held] = [:]
    var live: [ClosedRange<Int64>] = []
    var jobs: Int64 = 0
    try snapshot.runningTable.all { row throws(QudoError) in
      let (first, last, holder, ends) = (row.integer(0), row.integer(1), row.integer(2), row.integer(3))
      guard first <= last else { return }
      let count = last.clampedMinus(first).clampedPlus(1)
      var those = held[holder] ?? Held()
      those.jobs = those.jobs.clampedPlus(count)
      those.firstEnd = min(those.firstEnd, ends)
      if ends < now.sinceBoot.clampedMinus(Self.lateness) { those.late = those.late.clampedPlus(count) }
      held[holder] = those
      if living.contains(holder), ends > now.sinceBoot {
        jobs = jobs.clampedPlus(count)
        live.append(first...last)
      }
    }
    try readKinds(of: live, jobs, snapshot)
    // One that has just ended properly has settled its jobs: whoever is not alive and holds jobs after that is dead.
    if held.keys.contains(where: { !living.contains($0) }) {
      try snapshot.connection.run("COMMIT")
      try snapshot.connection.run("BEGIN")
      var still: Set<Int64> = []
      try snapshot.runningTable.all { row throws(QudoError) in still.insert(row.integer(2)) }
      held = held.filter { living.contains($0.key) || still.contains($0.key) }
    }
    let processes = Dictionary(
      instances.map { ($0.id, $0.processID) }, uniquingKeysWith: { first, _ in first })
    for (holder, those) in held.sorted(by: { $0.key < $1.key }) {
      let process = processes[holder].flatMap { $0 > 0 ? $0 : nil }
      let name = process.map { "process \($0)" } ?? "a process"
      let count = those.jobs == 1 ? "a job" : "\(those.jobs) jobs"
      var figures = ["jobs": those.jobs]
      if let process { figures["process"] = process }
      if !living.contains(holder) {
        dead.append(
          Finding(
            "dead-worker", .warning, "\(name) has ended while it held \(count), and no worker has taken over",
            advice: "start a worker for these jobs: it runs them again at once", figures: figures))
      } else if those.late > 0 {
        let age = Duration.microseconds(now.sinceBoot.clampedMinus(those.firstEnd))
        figures = ["jobs": those.late, "seconds": age.wholeSeconds].merging(figures) { first, _ in first }
        expired.append(
          Finding(
            "expired-lease", .warning,
            "\(name) lives, but has not renewed leases that expired \(age.inUnits) ago (jobs: \(those.late)): it hangs or is stopped",
            advice:
              "continue it (kill -CONT) or restart it; other workers of the kind run its jobs again",
            figures: figures))
      }
    }
    dead = dead.capped("processes")
    expired = expired.capped("processes")
  }

  private mutating func readKinds(of ranges: [ClosedRange<Int64>], _ jobs: Int64, _ snapshot: Snapshot)
    throws(QudoError)
  {
    guard jobs <= Self.mostJobs else { return kinds = nil }
    var found: Set<Int64> = []
    for range in ranges { try snapshot.jobTable.kinds(range) { found.insert($0) } }
    kinds = found
  }
}
