import Qudo
@_spi(Fuzzing) import QudoSchedules

/// Whatever the bytes of a time zone's file, they are rules by which ticks are in order, or a refusal.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let file = Array(UnsafeBufferPointer(start: start, count: count))
  guard let zone = try? TimeZoneRules.parsed(file) else { return 0 }
  for expression in expressions {
    for start in starts { check(expression, start, zone) }
  }
  return 0
}

private let expressions = ["30 2 * * *", "*/15 * * * *", "0 0 29 2 *", "* * * * * *"].compactMap {
  try? CronExpression($0)
}

/// In the year 1, in 1901, 1970, 2026, 2100 and 9999.
private let starts = [
  Timestamp.earliest, Timestamp(microseconds: -2_147_483_648_000_000), Timestamp(microseconds: 0),
  Timestamp(microseconds: 1_774_656_000_000_000), Timestamp(microseconds: 4_107_542_400_000_000), .latest,
]

private func check(_ expression: CronExpression, _ start: Timestamp, _ zone: TimeZoneRules) {
  let ticks = expression.ticks(after: start, through: .latest, in: zone, first: 3)
  precondition(zip([start] + ticks, ticks).allSatisfy { $0 < $1 }, "\(expression): \(ticks)")
  if let last = ticks.last {
    let again = expression.ticks(after: start, through: last, in: zone, last: 4)
    precondition(again == ticks, "\(expression): \(ticks), but backwards \(again)")
  }
}

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
  _ count: UnsafePointer<CInt>, _ arguments: UnsafePointer<UnsafePointer<UnsafePointer<CChar>?>?>,
  _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The package manager links an executable with its target's own entry, not with libFuzzer's `main`.
@_cdecl("FuzzTimeZone_main")
public func entry(_ count: CInt, _ arguments: UnsafePointer<UnsafePointer<CChar>?>?) -> CInt {
  withUnsafePointer(to: count) { count in withUnsafePointer(to: arguments) { runFuzzer(count, $0, fuzz) } }
}
