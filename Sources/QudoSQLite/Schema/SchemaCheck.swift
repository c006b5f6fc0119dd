internal import Logging
internal import Qudo

/// A check that a file's `qudo_` tables are those that Qudo creates, by the SQL text that SQLite stores for each.
///
/// A table with other columns, constraints or collations, a view, or a missing index could make Qudo's statements wrong
/// or run foreign code. Harmless additions of an application or a newer Qudo are allowed: plain columns at the end of a
/// table, plain indexes, and triggers and views, which Qudo's connections never run.
struct SchemaCheck {
  /// A row of `sqlite_schema`.
  private struct Item: Sendable {
    let type: String
    let name: String
    let table: String
    let sql: String?
  }

  private let found: [Item]
  private let expected: [String: Item]

  init(_ connection: Connection) throws(QudoError) {
    expected = try Self.ours.get()
    found = try Self.items(connection)
  }

  /// Whether the file has no schema item with a `qudo_` name.
  var isEmpty: Bool { found.isEmpty }

  /// Checks the version table. Call it before reading any table.
  func checkVersions() throws(QudoError) {
    for item in found where item.name.lowercased() == "qudo_schema" { try check(item, isNewer: false) }
  }

  /// - Parameter version: The schema version of the file.
  func check(version: Int64, _ logger: Logger) throws(QudoError) {
    for item in found { try check(item, isNewer: version > Schema.version) }
    let names = Set(found.map { $0.name.lowercased() })
    if let missing = expected.values.filter({ !names.contains($0.name) }).min(by: { $0.name < $1.name }) {
      throw QudoError(
        .corrupt,
        "the \(missing.type) \(missing.name) is missing: restore the file from a backup, or use another file")
    }
    let inert = found.filter { ["trigger", "view"].contains($0.type) }.map { Self.shown($0.name) }
    if !inert.isEmpty {
      logger.warning(
        "foreign triggers or views on Qudo's tables, or with qudo_ names: Qudo does not run them",
        metadata: ["names": "\(inert.prefix(10).joined(separator: ", "))"])
    }
  }

  private func check(_ item: Item, isNewer: Bool) throws(QudoError) {
    let isRight: Bool
    if let expected = expected[item.name.lowercased()] {
      isRight = expected.type == item.type && Self.isSame(item, expected)
    } else if item.type == "index", expected[item.table.lowercased()] != nil {
      // The index that SQLite creates for a primary key has no SQL text.
      isRight = item.sql.map { Self.isPlainIndex($0, isNewer: isNewer) } ?? true
    } else {
      isRight = true
    }
    guard isRight else {
      throw QudoError(
        .foreignSchema,
        "the \(Self.shown(item.type)) \(Self.shown(item.name)) differs from the one that Qudo creates: remove it, or use another file"
      )
    }
  }

  // MARK: Texts

  private static func isSame(_ item: Item, _ expected: Item) -> Bool {
    let actual = collapsed(item.sql ?? "", name: expected.name)
    let right = collapsed(expected.sql ?? "", name: expected.name)
    if actual == right { return true }
    guard item.type == "table" else { return false }
    // ALTER TABLE adds a column after the others, in front of the table constraints.
    let end =
      place(of: ", PRIMARY KEY(", in: right) ?? right.lastIndex(of: UInt8(ascii: ")")) ?? right.endIndex
    let (head, tail) = (right[..<end], right[end...])
    guard actual.count > right.count, actual.starts(with: head), actual.suffix(tail.count).elementsEqual(tail)
    else { return false }
    return arePlainColumns(actual[head.count..<(actual.count - tail.count)])
  }

  private static func place(of text: String, in bytes: [UInt8]) -> Int? {
    let text = Array(text.utf8)
    return bytes.indices.first { bytes[$0...].starts(with: text) }
  }

  /// Returns whether `bytes` are columns `, name TYPE`, without constraints, with a constant default or none.
  private static func arePlainColumns(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard bytes.first == UInt8(ascii: ","), bytes.allSatisfy(isPlain) else { return false }
    return bytes.split(separator: UInt8(ascii: ",")).allSatisfy { column in
      let words = Set(words(column))
      return words.isDisjoint(with: rules) && (!words.contains("NOT") || words.contains("DEFAULT"))
    }
  }

  /// Returns whether an index contains only columns. A unique index would refuse jobs, so only a newer Qudo may have
  /// added one; the same holds for a partial index.
  private static func isPlainIndex(_ sql: String, isNewer: Bool) -> Bool {
    let bytes = collapsed(sql, name: "")
    let allowed = bytes.allSatisfy { isPlain($0) || "()\"=<>!".utf8.contains($0) }
    let words = Set(words(bytes[...]))
    guard allowed, bytes.count(where: { $0 == UInt8(ascii: "(") }) == 1,
      words.isDisjoint(with: rules.subtracting(["UNIQUE"]))
    else { return false }
    return isNewer || !words.contains("UNIQUE") && !words.contains("WHERE")
  }

  private static let rules: Set<String> = [
    "REFERENCES", "UNIQUE", "PRIMARY", "CHECK", "AS", "GENERATED", "CONSTRAINT", "COLLATE",
  ]

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "_ ,-'.".utf8.contains(byte)
    }
  }

  private static func words(_ bytes: ArraySlice<UInt8>) -> [String] {
    bytes.split { !isPlain($0) || $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: ",") }.map {
      String(decoding: $0, as: UTF8.self).uppercased()
    }
  }

  /// Returns the SQL with whitespace collapsed, and without the quotation marks that a rename puts around a table name.
  private static func collapsed(_ sql: String, name: String) -> [UInt8] {
    let words = sql.utf8.split { [9, 10, 12, 13, 32].contains($0) }.map(Array.init)
    let bytes = Array(words.joined(separator: [32]))
    let quoted = Array("CREATE TABLE \"\(name)\"".utf8)
    return bytes.starts(with: quoted)
      ? Array("CREATE TABLE \(name)".utf8) + bytes.dropFirst(quoted.count) : bytes
  }

  /// Escapes and shortens a name for display: a foreign program may have chosen it.
  private static func shown(_ name: String) -> String {
    String(name.debugDescription.dropFirst().dropLast().prefix(80))
  }

  // MARK: Reading

  private static func items(_ connection: Connection) throws(QudoError) -> [Item] {
    var items: [Item] = []
    try connection.each(
      """
      SELECT type, name, tbl_name, sql FROM sqlite_schema
      WHERE name LIKE 'qudo\\_%' ESCAPE '\\' OR tbl_name LIKE 'qudo\\_%' ESCAPE '\\'
      """
    ) { row throws(QudoError) in
      items.append(
        Item(type: row.text(0), name: row.text(1), table: row.text(2), sql: row.isNull(3) ? nil : row.text(3))
      )
    }
    return items
  }

  /// The items that the migrations create, read from a database in memory, because SQLite rewrites the SQL text on
  /// ALTER TABLE.
  private static let ours: Result<[String: Item], QudoError> = {
    do throws(QudoError) {
      let connection = try Connection(path: ":memory:", create: true)
      for migration in Schema.migrations { try connection.execute(migration.sql) }
      let named = try items(connection).filter { $0.name.hasPrefix("qudo_") }
      return .success(Dictionary(named.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first }))
    } catch {
      return .failure(error)
    }
  }()
}
