/// The claimed jobs that have not begun, in the order in which they begin.
struct JobBuffer {
  private var jobs: [HeldJob] = []
  private var head = 0
  /// The time at which a job last arrived or began, in microseconds since the boot.
  private(set) var movedAt: Int64 = 0

  var count: Int { jobs.count - head }
  var isEmpty: Bool { head == jobs.count }
  var all: ArraySlice<HeldJob> { jobs[head...] }

  mutating func append(_ job: HeldJob) { jobs.append(job) }

  /// Notes that jobs have come.
  mutating func moved(now: Int64) { movedAt = now }

  mutating func takeFirst(now: Int64) -> HeldJob? {
    guard !isEmpty else { return nil }
    let job = jobs[head]
    head += 1
    if isEmpty {
      jobs.removeAll(keepingCapacity: true)
      head = 0
    }
    movedAt = now
    return job
  }

  mutating func takeAll() -> ArraySlice<HeldJob> {
    defer { replaceAll(with: []) }
    return all
  }

  /// Keeps some of the jobs, perhaps with other leases.
  mutating func replaceAll(with kept: [HeldJob]) { (jobs, head) = (kept, 0) }
}
