/// What may be in the file, by the answers that callers got: what was acknowledged is done, what threw another error than
/// `outcomeUnknown` is not, and of what threw that either may be so.
struct Ledger {
  /// What may be there after each answer.
  private var moments: [Set<JobTable>]
  /// The last moment that the disk is known to have.
  private var floor = 0
  /// The first answer that cannot be: what there was does not allow it.
  private(set) var contradiction: String?

  init(_ table: JobTable) { moments = [[table]] }

  /// - Parameter effect: nil where the answer cannot be.
  mutating func acknowledge(_ what: String, isDurable: Bool, _ effect: (JobTable) -> JobTable?) {
    let tables = Set(now.compactMap(effect))
    if tables.isEmpty {
      contradiction = contradiction ?? "\(what) was answered, but before it there was \(now)"
      return
    }
    moments.append(tables)
    if isDurable { floor = moments.count - 1 }
  }

  mutating func doubt(_ effect: (JobTable) -> JobTable?) { moments.append(now.union(now.compactMap(effect))) }

  /// While the machine is on, and after its process was killed.
  var now: Set<JobTable> { moments[moments.count - 1] }

  /// After a power loss: what the disk is known to have, and what came next without a hole.
  var afterPowerLoss: Set<JobTable> { moments[floor...].reduce(into: []) { $0.formUnion($1) } }

  /// Another process has looked.
  mutating func found(_ table: JobTable) {
    guard now.contains(where: { $0.allows(table) }) else {
      contradiction = contradiction ?? "there is \(table), but it may be only \(now)"
      return
    }
    moments.append([table])
  }
}
