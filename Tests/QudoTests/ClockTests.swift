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
}
