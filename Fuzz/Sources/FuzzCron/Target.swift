import Qudo
import QudoSchedules

/// Whatever the text, the parser answers with an expression that it reads from its own text again, or with a
/// refusal in one short line. The ticks of the expression are in order, forwards and backwards.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let text = String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  do {
    let expression = try CronExpression(text)
    precondition(
      (try? CronExpression(expression.description)) == expression, "\(expression) is read as another one")
    for zone in [TimeZoneRules.utc, berlin] { check(expression, zone) }
  } catch {
    precondition(error.code == .invalidArgument)
    precondition(
      error.message.utf8.count < 400 && error.message.unicodeScalars.allSatisfy { $0.value >= 0x20 })
  }
  return 0
}

/// A day before the clock goes forth in Berlin.
private let time = Timestamp(microseconds: 1_774_656_000_000_000)

private let berlin = (try? TimeZoneRules(named: "Europe/Berlin")) ?? .utc

private func check(_ expression: CronExpression, _ zone: TimeZoneRules) {
  let ticks = expression.ticks(after: time, through: .latest, in: zone, first: 3)
  guard let last = ticks.last else {
    precondition(expression.previous(before: .latest, in: zone) == nil, "\(expression) has ticks only before")
    return
  }
  precondition(
    time < ticks[0] && zip(ticks, ticks.dropFirst()).allSatisfy { $0 < $1 }, "\(expression): \(ticks)")
  let again = expression.ticks(after: time, through: last, in: zone, last: 4)
  precondition(again == ticks, "\(expression): \(ticks), but backwards \(again)")
}

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
  _ count: UnsafePointer<CInt>, _ arguments: UnsafePointer<UnsafePointer<UnsafePointer<CChar>?>?>,
  _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The package manager links an executable with its target's own entry, not with libFuzzer's `main`.
@_cdecl("FuzzCron_main")
public func entry(_ count: CInt, _ arguments: UnsafePointer<UnsafePointer<CChar>?>?) -> CInt {
  withUnsafePointer(to: count) { count in withUnsafePointer(to: arguments) { runFuzzer(count, $0, fuzz) } }
}
