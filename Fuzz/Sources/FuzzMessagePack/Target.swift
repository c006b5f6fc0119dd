import Qudo
import QudoMessagePack

/// Whatever the bytes, the decoder answers with a value or an error of its own that names a byte; what it decodes is
/// encoded, decoded to the same, and encoded to the same bytes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  check(Tree.self, bytes)
  check(Shape.self, bytes)
  check([String: [Int8?]].self, bytes)
  check([Int: [UInt8]].self, bytes)
  check([[Float]].self, bytes)
  return 0
}

private let codec = MessagePackCodec()

private func check<Value: Codable>(_ type: Value.Type, _ bytes: [UInt8]) {
  let value: Value
  do {
    value = try codec.decode(type, from: bytes, of: "fuzz")
  } catch let error as DecodingError {
    _ = error.path
    return
  } catch {
    preconditionFailure("\(error)")
  }
  do {
    let first = try codec.encode(value, of: "fuzz")
    let again = try codec.decode(type, from: first, of: "fuzz")
    // By their bytes, for a number that is none is not equal to itself.
    let second = try codec.encode(again, of: "fuzz")
    precondition(second == first, "\(first)")
  } catch {
    preconditionFailure("decoded, but \(error)")
  }
}

extension DecodingError {
  /// The path must be there to be asked for.
  fileprivate var path: String {
    switch self {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
      .dataCorrupted(let context):
      context.codingPath.map(\.stringValue).joined(separator: ".")
    @unknown default: ""
    }
  }
}

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
  _ count: UnsafePointer<CInt>, _ arguments: UnsafePointer<UnsafePointer<UnsafePointer<CChar>?>?>,
  _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The package manager links an executable with its target's own entry, not with libFuzzer's `main`.
@_cdecl("FuzzMessagePack_main")
public func entry(_ count: CInt, _ arguments: UnsafePointer<UnsafePointer<CChar>?>?) -> CInt {
  withUnsafePointer(to: count) { count in withUnsafePointer(to: arguments) { runFuzzer(count, $0, fuzz) } }
}
