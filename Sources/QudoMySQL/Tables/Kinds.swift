#if MySQL
internal import Qudo

/// The numbers of kinds in the database, as far as the driver has seen them. Qudo never deletes a kind, so a
/// committed number stays valid. The cache never remembers that a kind is missing.
final class KindCache: Sendable {
  private let numbers = Locked<[Kind: Int64]>([:])
  /// The numbers of the kinds that had ready jobs at the last look. With this hint, a claim need not look at
  /// each kind.
  private let ready = Locked<Set<Int64>>([])
  /// The pauses and marks that the last claim saw.
  let control = Locked(ControlHints())

  subscript(kind: Kind) -> Int64? { numbers.withLock { $0[kind] } }

  /// Adds a number. The cache has a limit, because an application may create a kind for each of its
  /// customers. The driver looks up a forgotten number again.
  func add(_ kind: Kind, _ number: Int64) {
    numbers.withLock { numbers in
      if numbers.count >= Self.most { numbers = [:] }
      numbers[kind] = number
    }
  }

  /// The maximum number of kinds in the cache.
  private static let most = 10_000

  func haveReady(of kinds: [ClaimableKind]) -> [ClaimableKind] {
    ready.withLock { ready in kinds.filter { ready.contains($0.number) } }
  }

  func haveReady(_ full: Set<Int64>, of kinds: [ClaimableKind]) {
    guard kinds.count > 1 else { return }
    ready.withLock { ready in
      ready.subtract(kinds.map(\.number))
      ready.formUnion(full)
    }
  }

  func invalidate() {
    numbers.withLock { $0 = [:] }
    ready.withLock { $0 = [] }
    control.withLock { hints in
      // A wrong one costs a look: see ``ControlHints/grouped``.
      let grouped = hints.grouped
      hints = ControlHints()
      hints.grouped = grouped
    }
  }

  /// The query for the numbers of all kinds.
  static let all: SQL = "SELECT id FROM qudo_kind ORDER BY id"

  static func look(up kinds: [Kind]) -> SQL {
    let names = kinds.map { kind -> SQL in "\(Array(kind.name.utf8))" }.joined(",")
    return "SELECT id, name FROM qudo_kind WHERE name IN (\(names))"
  }

  /// Returns the query that locks kinds until the commit and returns a row for each. A server that was told to stop it may
  /// return, and lock, too few.
  ///
  /// - Parameter numbers: In ascending order. Sessions that lock kinds in the same order do not deadlock, and only the
  ///   primary key has this one.
  static func lock(_ numbers: [Int64]) -> SQL {
    "SELECT id FROM qudo_kind FORCE INDEX(PRIMARY) WHERE id IN \(list: numbers) ORDER BY id FOR UPDATE"
  }
}

extension Transaction {
  /// Returns the number of a kind. It stays the same until the end of the transaction, even if the driver's
  /// other connections clear the cache.
  func number(of kind: Kind) -> Int64? {
    if let last = lastNumber, last.kind == kind { return last.number }
    let number = numbers[kind] ?? kinds[kind]
    numbers[kind] = number
    lastNumber = number.map { (kind, $0) }
    return number
  }

  func requireNumber(of kind: Kind) throws(QudoError) -> Int64 {
    guard let number = number(of: kind) else {
      throw QudoError(.database, "the kind \(kind) was stored but cannot be found")
    }
    return number
  }

  /// Returns the numbers of different kinds in ascending order.
  func requireNumbers(of kinds: some Sequence<Kind>) throws(QudoError) -> [Int64] {
    var numbers: [Int64] = []
    for kind in kinds { numbers.append(try requireNumber(of: kind)) }
    return numbers.sorted()
  }

  func unknown(_ kinds: some Sequence<Kind>) -> [Kind] {
    var seen: Set<Kind> = []
    return kinds.filter { number(of: $0) == nil && seen.insert($0).inserted }
  }

  /// - Parameter rows: The result of ``KindCache/look(up:)``.
  func add(kinds rows: Rows) throws(QudoError) {
    try rows.forEach { row throws(QudoError) in know(Kind(row.text(1)), row.integer(0)) }
  }

  func know(_ kind: Kind, _ number: Int64) {
    numbers[kind] = number
    kinds.add(kind, number)
  }

  /// Creates kinds before the transaction, each in its own transaction, so that every known number is
  /// committed.
  func makeKinds(_ wanted: some Sequence<Kind>) throws(QudoError) {
    let new = unknown(wanted)
    guard !new.isEmpty else { return }
    try lookUp(new)
    for kind in unknown(new) {
      do {
        try connection.run(["INSERT INTO qudo_kind(name) VALUES(\(Array(kind.name.utf8)))", "COMMIT"])
      } catch  where error.mysql?.isDuplicate == true {
        // Another session created the kind first. The failed INSERT leaves that session's row locked until
        // the end of the transaction.
        try connection.run("ROLLBACK")
      }
    }
    try lookUp(unknown(new))
  }

  private func lookUp(_ unknown: [Kind]) throws(QudoError) {
    guard !unknown.isEmpty else { return }
    if let rows = try connection.run([KindCache.look(up: unknown), "COMMIT"])[0].rows {
      try add(kinds: rows)
    }
  }

  /// Returns the numbers of those kinds that the database knows, each once; nil for nil.
  func numbers(of wanted: [Kind]?) throws(QudoError) -> [Int64]? {
    guard let wanted else { return nil }
    try lookUp(unknown(wanted))
    return Set(wanted.compactMap { number(of: $0) }).sorted()
  }
}
#endif
