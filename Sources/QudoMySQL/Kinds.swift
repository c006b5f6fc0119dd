#if MySQL
internal import Qudo

/// The numbers that kinds have in the database, as far as the driver has met them. Qudo never deletes a kind, so that a
/// number that was committed stays good; that a kind is not there is never remembered.
final class KindNumbers: Sendable {
  private let numbers = Locked<[Kind: Int64]>([:])

  subscript(kind: Kind) -> Int64? { numbers.withLock { $0[kind] } }

  func add(_ kind: Kind, _ number: Int64) { numbers.withLock { $0[kind] = number } }

  func forget() { numbers.withLock { $0 = [:] } }

  /// Those of them that are not known, each once.
  func unknown(_ kinds: some Sequence<Kind>) -> [Kind] {
    numbers.withLock { numbers in
      var seen: Set<Kind> = []
      return kinds.filter { numbers[$0] == nil && seen.insert($0).inserted }
    }
  }

  static func look(up kinds: [Kind]) -> SQL {
    let names = kinds.map { kind -> SQL in "\(Array(kind.name.utf8))" }.joined(",")
    return "SELECT id, name FROM qudo_kind WHERE name IN (\(names))"
  }

  func add(_ rows: Rows) throws(QudoError) {
    try rows.forEach { row throws(QudoError) in add(Kind(row.text(1)), row.integer(0)) }
  }
}

extension Transaction {
  /// Kinds are made before the transaction, each by itself, so that a number that is known is a committed one.
  func makeKinds(_ wanted: some Sequence<Kind>) throws(QudoError) {
    let unknown = kinds.unknown(wanted)
    guard !unknown.isEmpty else { return }
    try lookUp(unknown)
    for kind in kinds.unknown(unknown) {
      do {
        try connection.run("INSERT INTO qudo_kind(name) VALUES(\(Array(kind.name.utf8)))")
      } catch where error.mysql?.isDuplicate == true {
        // Somebody else did.
      }
    }
    try lookUp(kinds.unknown(unknown))
    guard kinds.unknown(unknown).isEmpty else { throw QudoError(.database, "a kind was stored and is not there") }
  }

  private func lookUp(_ unknown: [Kind]) throws(QudoError) {
    guard !unknown.isEmpty else { return }
    if let rows = try connection.run(KindNumbers.look(up: unknown)).rows { try kinds.add(rows) }
  }

  func number(of kind: Kind) throws(QudoError) -> Int64 {
    guard let number = kinds[kind] else { throw QudoError(.database, "the kind \(kind) has no number") }
    return number
  }

  /// The numbers of those kinds that the database knows, each once; nil for nil.
  func numbers(of wanted: [Kind]?) throws(QudoError) -> [Int64]? {
    guard let wanted else { return nil }
    try lookUp(kinds.unknown(wanted))
    return Set(wanted.compactMap { kinds[$0] }).sorted()
  }
}
#endif
