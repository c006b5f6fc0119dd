#if Encryption
internal import Crypto
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
public import Qudo

/// A key of 256 bits. No description shows its bytes.
public struct SecretKey: Sendable {
  let key: SymmetricKey

  /// - Parameter bytes: 32 of them, from a source of secrets: random, not a password.
  /// - Throws: `QudoError` with the code `invalidArgument` for another number of bytes.
  public init(_ bytes: [UInt8]) throws(QudoError) {
    guard bytes.count == 32 else {
      throw QudoError(.invalidArgument, "a key has 32 bytes, not \(bytes.count)")
    }
    key = SymmetricKey(data: bytes)
  }

  /// - Parameter base64: 32 bytes in Base64, as ``base64`` gives them and `head -c 32 /dev/urandom | base64`.
  /// - Throws: `QudoError` with the code `invalidArgument` for anything else.
  public init(base64: String) throws(QudoError) {
    guard let data = Data(base64Encoded: base64) else {
      throw QudoError(.invalidArgument, "the key is not Base64")
    }
    try self.init([UInt8](data))
  }

  /// A new key from the system's random numbers.
  public static func random() -> SecretKey { SecretKey(SymmetricKey(size: .bits256)) }

  private init(_ key: SymmetricKey) { self.key = key }

  /// The key itself, to be stored where secrets are.
  public var base64: String { key.withUnsafeBytes { Data($0).base64EncodedString() } }
}

extension SecretKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "a secret key" }
  public var debugDescription: String { description }
  /// Empty: what `dump` shows.
  public var customMirror: Mirror { Mirror(self, children: []) }
}
#endif
