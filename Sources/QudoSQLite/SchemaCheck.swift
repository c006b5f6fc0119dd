internal import Logging
internal import Qudo

/// Whether a file's `qudo_` tables are what Qudo makes: by the text that SQLite keeps of each.
///
/// A table of other columns, rules or sorts of values, a view, or a missing index would make wrong what Qudo does, or run what
/// somebody else has thought out. What an application or a newer Qudo may have added and does no harm is allowed: plain columns at
/// a table's end, plain indexes, and triggers and views, which no connection of Qudo's runs.
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

  /// Whether there is anything of Qudo's, or called so.
  var isEmpty: Bool { found.isEmpty }

  /// To be called before anything is read of the tables.
  func checkVersions() throws(QudoError) {
    for item in found where item.name.lowercased() == "qudo_schema" { try check(item, isNewer: false) }
  }

  /// - Parameter version: of the file.
  func check(version: Int64, _ logger: Logger) throws(QudoError) {
    for item in found { try check(item, isNewer: version > Schema.version) }
    let names = Set(found.map { $0.name.lowercased() })
    if let missing = expected.values.filter({ !names.contains($0.name) }).min(by: { $0.name < $1.name }) {
      throw QudoError(.corrupt, "the \(missing.type) \(missing.name) is missing: restore the file from a backup, or use another file")
    }
    let inert = found.filter { ["trigger", "view"].contains($0.type) }.map { Self.shown($0.name) }
    if !inert.isEmpty {
      logger.warning(
        "the database has triggers or views that are not Qudo's on its tables, or called like them: Qudo does not run them",
        metadata: ["names": "\(inert.prefix(10).joined(separator: ", "))"])
    }
  }

  private func check(_ item: Item, isNewer: Bool) throws(QudoError) {
    let isRight: Bool
    if let expected = expected[item.name.lowercased()] {
      isRight = expected.type == item.type && Self.isSame(item, expected)
    } else if item.type == "index", expected[item.table.lowercased()] != nil {
      // Those that SQLite makes for a primary key have no text.
      isRight = item.sql.map { Self.isPlainIndex($0, isNewer: isNewer) } ?? true
    } else {
      isRight = true
    }
    guard isRight else {
      throw QudoError(
        .foreignSchema, "the \(Self.shown(item.type)) \(Self.shown(item.name)) is not what Qudo makes: remove it, or use another file")
    }
  }

  // MARK: Texts

  private static func isSame(_ item: Item, _ expected: Item) -> Bool {
    let actual = collapsed(item.sql ?? "", name: expected.name)
    let right = collapsed(expected.sql ?? "", name: expected.name)
    if actual == right { return true }
    guard item.type == "table" else { return false }
    // A column that is added to a table stands behind the others, before what holds for the whole table.
    let end = place(of: ", PRIMARY KEY(", in: right) ?? right.lastIndex(of: UInt8(ascii: ")")) ?? right.endIndex
    let (head, tail) = (right[..<end], right[end...])
    guard actual.count > right.count, actual.starts(with: head), actual.suffix(tail.count).elementsEqual(tail) else { return false }
    return arePlainColumns(actual[head.count..<(actual.count - tail.count)])
  }

  private static func place(of text: String, in bytes: [UInt8]) -> Int? {
    let text = Array(text.utf8)
    return bytes.indices.first { bytes[$0...].starts(with: text) }
  }

  /// `, name TYPE`, any number of them, with a constant as a default or none: nothing that is computed.
  private static func arePlainColumns(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard bytes.first == UInt8(ascii: ","), bytes.allSatisfy(isPlain) else { return false }
    return bytes.split(separator: UInt8(ascii: ",")).allSatisfy { column in
      let words = Set(words(column))
      return words.isDisjoint(with: rules) && (!words.contains("NOT") || words.contains("DEFAULT"))
    }
  }

  /// Of columns alone. A unique one would refuse jobs; a newer Qudo may have made one, or one of some rows only.
  private static func isPlainIndex(_ sql: String, isNewer: Bool) -> Bool {
    let bytes = collapsed(sql, name: "")
    let allowed = bytes.allSatisfy { isPlain($0) || "()\"=<>!".utf8.contains($0) }
    let words = Set(words(bytes[...]))
    guard allowed, bytes.count(where: { $0 == UInt8(ascii: "(") }) == 1, words.isDisjoint(with: rules.subtracting(["UNIQUE"])) else { return false }
    return isNewer || !words.contains("UNIQUE") && !words.contains("WHERE")
  }

  private static let rules: Set<String> = ["REFERENCES", "UNIQUE", "PRIMARY", "CHECK", "AS", "GENERATED", "CONSTRAINT", "COLLATE"]

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    default: "_ ,-'.".utf8.contains(byte)
    }
  }

  private static func words(_ bytes: ArraySlice<UInt8>) -> [String] {
    bytes.split { !isPlain($0) || $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: ",") }.map { String(decoding: $0, as: UTF8.self).uppercased() }
  }

  /// With one blank for each run of white space. A table that was renamed has its name in quotation marks.
  private static func collapsed(_ sql: String, name: String) -> [UInt8] {
    let words = sql.utf8.split { [9, 10, 12, 13, 32].contains($0) }.map(Array.init)
    let bytes = Array(words.joined(separator: [32]))
    let quoted = Array("CREATE TABLE \"\(name)\"".utf8)
    return bytes.starts(with: quoted) ? Array("CREATE TABLE \(name)".utf8) + bytes.dropFirst(quoted.count) : bytes
  }

  /// A name is whatever somebody has written there.
  private static func shown(_ name: String) -> String { String(name.debugDescription.dropFirst().dropLast().prefix(80)) }

  // MARK: Reading

  private static func items(_ connection: Connection) throws(QudoError) -> [Item] {
    var items: [Item] = []
    try connection.each(
      """
      SELECT type, name, tbl_name, sql FROM sqlite_schema
      WHERE name LIKE 'qudo\\_%' ESCAPE '\\' OR tbl_name LIKE 'qudo\\_%' ESCAPE '\\'
      """) { row throws(QudoError) in
        items.append(Item(type: row.text(0), name: row.text(1), table: row.text(2), sql: row.isNull(3) ? nil : row.text(3)))
      }
    return items
  }

  /// What the migrations make, from a database in memory: the text that SQLite keeps after an ALTER TABLE is its own.
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
