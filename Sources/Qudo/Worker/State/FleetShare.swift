/// What a worker of one of several databases knows of the others.
struct FleetShare {
  /// The longest pause between two calls to a database that fails, in microseconds.
  let probeInterval: Int64
  /// The permits for the next claim.
  var grant: ConcurrencyBudget.Grant?
  /// Whether this database is empty. The worker then continues until all are.
  var isEmpty = false
  /// Whether all databases are empty.
  var isOver = false
}
