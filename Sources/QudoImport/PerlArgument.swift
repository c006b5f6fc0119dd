#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Qudo

/// A check that an argument matches the codec that the import names. Raw bytes always match.
enum PerlArgument {
  static func check(_ bytes: [UInt8], _ codec: CodecID) throws(PerlRefusal) {
    guard codec != .raw else { return }
    if isStorable(bytes) {
      throw PerlRefusal(
        "arg was written by Storable, which only Perl reads: import raw bytes, or convert it to JSON with a Perl program"
      )
    }
    if codec == .json, !isJSON(bytes) {
      throw PerlRefusal("arg is not JSON: import raw bytes, or name another codec")
    }
    if codec == .messagePack, !MessagePackShape.isOneValue(bytes) {
      throw PerlRefusal("arg is not MessagePack: import raw bytes, or name another codec")
    }
  }

  /// Returns true for the header of `nfreeze`, which the Perl Qudo calls: a byte with major version 2 and the bit for
  /// network order, then the minor version, at most 12.
  private static func isStorable(_ bytes: [UInt8]) -> Bool {
    bytes.count > 2 && bytes[0] == 5 && (4...12).contains(bytes[1])
  }

  private struct Anything: Decodable {
    init(from decoder: any Decoder) {}
  }

  private static func isJSON(_ bytes: [UInt8]) -> Bool {
    String(validating: bytes, as: UTF8.self) != nil
      && (try? JSONDecoder().decode(Anything.self, from: Data(bytes))) != nil
  }
}
