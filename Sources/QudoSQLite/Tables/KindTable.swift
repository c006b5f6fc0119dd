internal import Qudo

/// `qudo_kind`: a number for each kind that ever had a job. Rows are never deleted.
struct KindTable {
  let connection: Connection

  /// Returns the id of a kind, or nil if the file has never had a job of it.
  func id(of kind: Kind) throws(QudoError) -> Int64? {
    if let id = connection.cache[kind] { return id }
    let id = try connection.integer("SELECT id FROM qudo_kind WHERE name = ?", .text(kind.name))
    connection.cache[kind] = id
    return id
  }

  func id(creating kind: Kind) throws(QudoError) -> Int64 {
    if let id = try id(of: kind) { return id }
    try connection.run("INSERT INTO qudo_kind(name) VALUES(?)", .text(kind.name))
    connection.cache.noteNewKind()
    guard let id = try id(of: kind) else {
      throw QudoError(.database, "the kind \(kind) was stored but cannot be found")
    }
    return id
  }

  // MARK: Final failures

  /// Returns where the final failures of a kind go, or nil for nowhere.
  func failureTarget(of id: Int64) throws(QudoError) -> Kind? {
    var target: Kind?
    try connection.each(
      "SELECT t.name FROM qudo_kind AS k JOIN qudo_kind AS t ON t.id = k.on_final_failure WHERE k.id = ?",
      .integer(id)
    ) { row throws(QudoError) in target = Kind(row.text(0)) }
    return target
  }

  func setFailureTarget(of id: Int64, _ target: Int64?) throws(QudoError) {
    try connection.run(
      "UPDATE qudo_kind SET on_final_failure = ? WHERE id = ?", target.map { .integer($0) } ?? .null,
      .integer(id))
  }

  func failureRoutes() throws(QudoError) -> [FailureRoute] {
    var routes: [FailureRoute] = []
    try connection.each(
      "SELECT k.name, t.name FROM qudo_kind AS k JOIN qudo_kind AS t ON t.id = k.on_final_failure ORDER BY k.name"
    ) { row throws(QudoError) in routes.append(FailureRoute(Kind(row.text(0)), to: Kind(row.text(1)))) }
    return routes
  }

  /// Returns the name of a kind, or nil if the file does not have it.
  func name(of id: Int64) throws(QudoError) -> Kind? {
    var kind: Kind?
    try connection.each("SELECT name FROM qudo_kind WHERE id = ?", .integer(id)) { row throws(QudoError) in
      kind = Kind(row.text(0))
    }
    return kind
  }
}
