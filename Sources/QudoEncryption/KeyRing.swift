#if Encryption
public import Qudo

/// The key that encrypts new payloads, and the keys that decrypt older ones.
///
/// Each has a number, which is stored with the payload. Give every new key a new number; never give one to another key.
public struct KeyRing: Sendable {
  /// The number of the key for new payloads.
  public let current: UInt32
  private let keys: [UInt32: SecretKey]

  /// - Parameters:
  ///   - current: the number of the key for new payloads.
  ///   - keys: all keys by their numbers, the current one among them.
  /// - Throws: `QudoError` with the code `invalidArgument` if the current one is not among them.
  public init(current: UInt32, keys: [UInt32: SecretKey]) throws(QudoError) {
    guard keys[current] != nil else {
      throw QudoError(
        .invalidArgument, "the key ring has no key \(current): add it, or choose another current key")
    }
    self.current = current
    self.keys = keys
  }

  /// The numbers of all keys, in order.
  public var numbers: [UInt32] { keys.keys.sorted() }

  func key(_ number: UInt32) throws(EncryptionError) -> SecretKey {
    guard let key = keys[number] else {
      throw EncryptionError("it was encrypted with key \(number), which the key ring does not have")
    }
    return key
  }
}

extension KeyRing: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String {
    "keys \(numbers.map { "\($0)" }.joined(separator: ", ")), current \(current)"
  }
  public var debugDescription: String { description }
  /// The numbers only.
  public var customMirror: Mirror { Mirror(self, children: ["current": current, "numbers": numbers]) }
}
#endif
