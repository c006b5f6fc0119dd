#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Qudo

/// Whether an argument can be what it is said to be. Of raw bytes nothing is asked.
enum PerlArgument {
  static func check(_ bytes: [UInt8], _ codec: CodecID) throws(PerlRefusal) {
    guard codec != .raw else { return }
    if isStorable(bytes) {
      throw PerlRefusal("arg was written by Storable, which only Perl reads: import raw bytes, or let a Perl program write JSON")
    }
    if codec == .json, !isJSON(bytes) { throw PerlRefusal("arg is not JSON: import raw bytes, or say what it is") }
    if codec == .messagePack, !MessagePackShape.isOneValue(bytes) {
      throw PerlRefusal("arg is not MessagePack: import raw bytes, or say what it is")
    }
  }

  /// `nfreeze`, which the original calls, begins with the major version 2 and the bit for network order, then a minor
  /// version, of which the last is 12.
  private static func isStorable(_ bytes: [UInt8]) -> Bool { bytes.count > 2 && bytes[0] == 5 && (4...12).contains(bytes[1]) }

  private struct Anything: Decodable {
    init(from decoder: any Decoder) {}
  }

  private static func isJSON(_ bytes: [UInt8]) -> Bool {
    String(validating: bytes, as: UTF8.self) != nil && (try? JSONDecoder().decode(Anything.self, from: Data(bytes))) != nil
  }
}
