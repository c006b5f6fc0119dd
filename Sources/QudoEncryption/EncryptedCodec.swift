#if Encryption
internal import Crypto
public import Qudo

/// Encrypts what another codec writes, with AES-GCM and a key of 256 bits.
///
///     let keys = try KeyRing(current: 2, keys: [1: old, 2: new])
///     Codecs(EncryptedCodec(JSONCodec(), keys: keys))
///
/// The bytes are: the format's version, 1; the number of the key, 4 bytes, the highest first; a random nonce, 12; the
/// encrypted bytes; the tag, 16. The tag also covers version and key number, the codec's id and the job's kind: a payload
/// that is moved to another kind does not decrypt.
///
/// Nonces are random: rotate a key before it has encrypted 2^32 payloads. Encryption does not hide the length of the plaintext, nor,
/// with a compressing base codec, how well it compressed.
public struct EncryptedCodec<Base: Codec>: Codec {
  /// The codec whose bytes are encrypted.
  public let base: Base
  /// The keys, of which the current one encrypts.
  public let keys: KeyRing

  /// - Parameters:
  ///   - base: whose bytes are encrypted.
  ///   - keys: for what is encoded from now on, and for what is already there.
  public init(_ base: Base, keys: KeyRing) {
    self.base = base
    self.keys = keys
  }

  public var id: CodecID { .wrapping(base.id, as: 17) }
  public var name: String { "encrypted \(base.name)" }

  /// - Throws: what the base throws; ``EncryptionError`` if the cipher refuses.
  public func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> [UInt8] {
    let bytes = try base.encode(value, of: kind)
    let header = Header(key: keys.current)
    do {
      let nonce = AES.GCM.Nonce()
      let box = try AES.GCM.seal(
        bytes, using: try keys.key(keys.current).key, nonce: nonce,
        authenticating: header.authenticated(codec: id, kind: kind))
      return header.bytes + Array(nonce) + Array(box.ciphertext) + Array(box.tag)
    } catch let error as EncryptionError {
      throw error
    } catch {
      throw EncryptionError("key \(keys.current) does not encrypt: \(error)")
    }
  }

  /// - Throws: ``EncryptionError`` if the key is missing, or if the bytes were changed or encrypted with another key, kind or codec.
  ///   Errors of the base codec, without the values: their messages go to the failure log.
  public func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value
  {
    let plain = try decrypted(bytes, kind)
    do {
      return try base.decode(type, from: plain, of: kind)
    } catch let error as DecodingError {
      throw EncryptionError("what was encrypted is not \(base.name) for \(type): \(Self.discreet(error))")
    }
  }

  private func decrypted(_ bytes: [UInt8], _ kind: Kind) throws -> [UInt8] {
    let (header, rest) = try Header.read(bytes)
    let key = try keys.key(header.key).key
    do {
      let nonce = try AES.GCM.Nonce(data: rest.prefix(Header.nonce))
      let box = try AES.GCM.SealedBox(
        nonce: nonce, ciphertext: rest.dropFirst(Header.nonce).dropLast(Header.tag),
        tag: rest.suffix(Header.tag))
      return [UInt8](
        try AES.GCM.open(box, using: key, authenticating: header.authenticated(codec: id, kind: kind)))
    } catch {
      // CryptoKit does not tell what is different, nor does it know.
      throw EncryptionError(
        "it does not decrypt with key \(header.key): it is damaged, or was encrypted with another key of this number, "
          + "for another kind than \(kind) or by another codec than \(id)")
    }
  }

  /// The place and the sort of error. A decoder's own words may have the value in them, such as a text that is no case of
  /// an enum.
  private static func discreet(_ error: DecodingError) -> String {
    let sort =
      switch error {
      case .typeMismatch(let type, _): "expected \(type)"
      case .valueNotFound(let type, _): "expected \(type), found nothing"
      case .keyNotFound(let key, _): "there is no key \(key.stringValue)"
      case .dataCorrupted: "the data is damaged or not as the type expects"
      @unknown default: "it does not decode"
      }
    return (error.context?.place.map { $0 + ": " } ?? "") + sort
  }
}

/// The error for a payload that cannot be decrypted, or cannot be decoded afterwards. It names keys by their numbers, and contains
/// neither key material nor plaintext.
public struct EncryptionError: Error, Sendable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}
#endif
