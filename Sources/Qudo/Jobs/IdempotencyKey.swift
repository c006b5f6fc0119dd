/// A key that identifies one enqueue, so that you can repeat it safely: after a timeout or crash, or when the
/// same message arrives again.
///
///     let key = IdempotencyKey("order 4711")
///     try await queue.enqueue(Ship(order: 4711), idempotencyKey: key)
///     try await queue.enqueue(Ship(order: 4711), idempotencyKey: key)  // .existing, with the id of the first
///
/// Unlike a ``UniqueKey``, it outlives the job: the database keeps a receipt of the key for as long as its
/// driver is set to, 24 hours by default. A key is unique within the database, not per kind.
///
/// See the example `Tests/Examples/Sources/Idempotent`.
public struct IdempotencyKey: Hashable, Sendable {
  private let high: UInt64
  private let low: UInt64

  /// Creates a random key. Keep it to repeat the enqueue.
  public init() {
    high = .random(in: .min ... .max)
    low = .random(in: .min ... .max)
  }

  /// Creates the key of a text: the first 128 bits of the SHA-256 of its UTF-8.
  public init(_ text: String) { self.init(words: SHA256.hash(text.utf8)) }

  /// Creates a key from 16 bytes, such as those of a UUID.
  ///
  /// - Returns: Nil for any other number of bytes.
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

  /// The key of one of many enqueues that share this key, such as the lines of a file.
  ///
  /// Consecutive keys are neighbors in the database's index, so that a batch touches few pages.
  package func numbered(_ number: Int) -> IdempotencyKey {
    IdempotencyKey(high: high, low: low &+ UInt64(truncatingIfNeeded: number))
  }

  /// The 16 bytes that the database stores.
  public var bytes: [UInt8] {
    [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
  }
}

extension IdempotencyKey: CustomStringConvertible {
  /// The bytes in hexadecimal.
  public var description: String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
