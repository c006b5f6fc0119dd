import Qudo

/// Whatever the text, the parser answers with a duration within its limits or a refusal.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let text = String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  guard let duration = try? Duration(parsing: text) else { return 0 }
  precondition(duration >= .zero && duration <= .seconds(100_000 * 86_400), "outside the limits: \(duration)")
  return 0
}
