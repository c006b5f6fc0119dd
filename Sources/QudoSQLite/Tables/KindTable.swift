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

  /// Returns the name of a kind, or nil if the file does not have it.
  func name(of id: Int64) throws(QudoError) -> Kind? {
    var kind: Kind?
    try connection.each("SELECT name FROM qudo_kind WHERE id = ?", .integer(id)) { row throws(QudoError) in
      kind = Kind(row.text(0))
    }
    return kind
  }
}
