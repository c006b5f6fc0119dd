/// Names one enqueue, so that it can be repeated without being done twice: after a time-out, a crash, or when the same
/// message comes in again.
///
///     let key = IdempotencyKey("order 4711")
///     try await queue.enqueue(Ship(order: 4711), idempotencyKey: key)
///     try await queue.enqueue(Ship(order: 4711), idempotencyKey: key)  // .existing, with the id of the first
///
/// Unlike a ``UniqueKey`` it does not go with the job: the database keeps a receipt for as long as its driver says, 24 hours by
/// default, whatever has become of the job. Keys are the database's, not those of a kind.
public struct IdempotencyKey: Hashable, Sendable {
  private let high: UInt64
  private let low: UInt64

  /// One that nobody else has. Keep it, and repeat the enqueue with it.
  public init() {
    high = .random(in: .min ... .max)
    low = .random(in: .min ... .max)
  }

  /// The key of a text: 128 bits of the SHA-256 of its UTF-8. Texts that differ in a byte have different keys.
  public init(_ text: String) { self.init(words: SHA256.hash(text.utf8)) }

  /// The key with these bytes, such as those of a UUID.
  ///
  /// - Returns: nil unless they are 16.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    func word(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    (high, low) = (word(bytes.prefix(8)), word(bytes.dropFirst(8)))
  }

  private init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

  private init(words: [UInt32]) {
    high = UInt64(words[0]) << 32 | UInt64(words[1])
    low = UInt64(words[2]) << 32 | UInt64(words[3])
  }

  /// The key of one of many enqueues, such as the lines of a file, that go under this key together.
  ///
  /// Neighbors are neighbors in the database's index too: a batch touches few of its pages.
  package func numbered(_ number: Int) -> IdempotencyKey { IdempotencyKey(high: high, low: low &+ UInt64(truncatingIfNeeded: number)) }

  /// The 16 bytes that stand in the database.
  public var bytes: [UInt8] { [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } } }
}

extension IdempotencyKey: CustomStringConvertible {
  /// The bytes in hexadecimal.
  public var description: String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
