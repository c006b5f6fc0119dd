@_spi(Fuzzing) import Qudo

/// Whatever the text, the parser answers with a duration within its limits or a refusal.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let text = String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  guard let duration = try? Duration.parsed(text) else { return 0 }
  precondition(duration >= .zero && duration <= .seconds(100_000 * 86_400), "outside the limits: \(duration)")
  return 0
}

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
  _ count: UnsafePointer<CInt>, _ arguments: UnsafePointer<UnsafePointer<UnsafePointer<CChar>?>?>,
  _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The package manager links an executable with its target's own entry, not with libFuzzer's `main`.
@_cdecl("FuzzDuration_main")
public func entry(_ count: CInt, _ arguments: UnsafePointer<UnsafePointer<CChar>?>?) -> CInt {
  withUnsafePointer(to: count) { count in withUnsafePointer(to: arguments) { runFuzzer(count, $0, fuzz) } }
}
