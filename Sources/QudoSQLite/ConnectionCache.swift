internal import CSQLite
internal import Qudo

/// The numbers that kinds have in the file, as far as a connection has met them.
///
/// Qudo never deletes a kind, but a restore of the file does: when another connection has changed the file, all is forgotten.
/// So is a number that was given in a transaction which is rolled back: another process may give it to another kind. SQLite
/// tells of each roll-back, those it makes by itself after an error included. (Not of `ROLLBACK TO`: Qudo's own connections have
/// no savepoints.) That a kind is not there is never remembered.
final class ConnectionCache {
  private var numbers: [Kind: Int64] = [:]
  /// How many are kept.
  static let most = 10_000
  /// How many are known, for tests.
  var count: Int { numbers.count }
  /// Forgotten with them.
  let ready = ReadyLists()
  /// Likewise.
  var hints = FileHints()
  /// The kind that was asked for last.
  private var last: (kind: Kind, number: Int64)?

  /// For no longer than a part of a transaction, which is given up as a whole.
  init() {}

  init(_ handle: OpaquePointer) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    sqlite3_rollback_hook(
      handle, { context in context.map { Unmanaged<ConnectionCache>.fromOpaque($0).takeUnretainedValue().invalidate() } }, context)
  }

  /// What the last claim of several kinds was for, and what of it the file knows.
  fileprivate var claim: (demands: [ClaimRequest.KindDemand], kinds: [ClaimableKind])?

  /// All that is known of the file.
  func invalidate() {
    numbers.removeAll(keepingCapacity: true)
    last = nil
    claim = nil
    hints = FileHints()
    ready.invalidate()
  }

  /// Before the connection is closed.
  func detach(_ handle: OpaquePointer) { sqlite3_rollback_hook(handle, nil, nil) }

  subscript(kind: Kind) -> Int64? {
    get {
      if let last, last.kind == kind { return last.number }
      let number = numbers[kind]
      if let number { last = (kind, number) }
      return number
    }
    set {
      // Applications that make up a kind for each of their customers must not fill the memory. What is forgotten is looked up again.
      if numbers.count >= Self.most { numbers = [:] }
      numbers[kind] = newValue
    }
  }
}

extension Connection {
  /// The number of a kind; nil if the file has never had a job of it.
  func kindID(_ kind: Kind) throws(QudoError) -> Int64? {
    if let id = kinds[kind] { return id }
    let id = try integer("SELECT id FROM qudo_kind WHERE name = ?", .text(kind.name))
    kinds[kind] = id
    return id
  }

  /// Those of a worker's kinds that the file knows.
  ///
  /// A worker asks for the same ones again and again: they are looked up anew when it asks for others, when somebody else has
  /// changed the file, or when a kind was created here. Two arrays at one place are the same array, as this one is kept.
  func claimable(_ demands: [ClaimRequest.KindDemand]) throws(QudoError) -> [ClaimableKind] {
    if demands.count > 1 {
      let place = demands.withUnsafeBufferPointer { $0.baseAddress }  // unsafe: compared, not read
      if let claim = kinds.claim, claim.demands.withUnsafeBufferPointer({ $0.baseAddress }) == place, claim.demands.count == demands.count {
        return claim.kinds
      }
    }
    var found: [ClaimableKind] = []
    for demand in demands {
      if let number = try kindID(demand.kind) { found.append(ClaimableKind(demand: demand, number: number)) }
    }
    if demands.count > 1 { kinds.claim = (demands, found) }
    return found
  }

  func kindID(creating kind: Kind) throws(QudoError) -> Int64 {
    if let id = try kindID(kind) { return id }
    try run("INSERT INTO qudo_kind(name) VALUES(?)", .text(kind.name))
    kinds.claim = nil
    guard let id = try kindID(kind) else { throw QudoError(.database, "the kind \(kind) was stored and is not there") }
    return id
  }
}
