@testable import Qudo
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct ClockTests {
  @Test("goes by another clock where the system has not the one asked for") func missingClock() {
    let before = SystemClock.microseconds(CLOCK_MONOTONIC)
    let time = SystemClock.microseconds(9999)
    #expect(time >= before && time <= SystemClock.microseconds(CLOCK_MONOTONIC))
  }

  @Test(
    "knows by how much a time namespace is ahead",
    arguments: [
      ("monotonic           7         0\nboottime       100000         0\n", 100_000_000_000),
      ("boottime -5 500000000\n", -4_500_000), ("1 0 0\n7 3 2000\n", 3_000_002), ("monotonic 7 0\n", nil),
      ("boottime x 0", nil),
      ("boottime 9223372036854775807 0", nil), ("", nil),
    ] as [(String, Int64?)])
  func timeNamespace(offsets: String, ahead: Int64?) {
    #expect(TimeNamespace.offset(in: offsets) == ahead)
  }
}
