#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// One look at the clocks.
public struct ClockReading: Sendable {
  /// Wall time. Due times and log rows are in it; it may jump.
  public var wall: Timestamp
  /// Microseconds since the machine started, sleep included. Leases are in it; it never jumps.
  public var sinceBoot: Int64
  /// Which start of the machine `sinceBoot` counts from. Leases of another boot are void. Empty if that cannot be told at this moment:
  /// a driver that needs it must not go on then, since it would take all leases for void.
  public var boot: String

  /// All of it read at one moment.
  public init(wall: Timestamp, sinceBoot: Int64, boot: String) {
    self.wall = wall
    self.sinceBoot = sinceBoot
    self.boot = boot
  }
}

/// The clock of a database that has none of its own, and of a worker's waits.
public protocol QueueClock: Sendable {
  /// All clocks at this moment.
  func now() -> ClockReading

  /// ``ClockReading/sinceBoot`` alone.
  func sinceBoot() -> Int64

  /// Returns when ``sinceBoot()`` has reached `time`.
  ///
  /// - Throws: `CancellationError` when the task is cancelled.
  func sleep(untilSinceBoot time: Int64) async throws
}

/// The machine's clock: CLOCK_REALTIME for wall time; for leases CLOCK_BOOTTIME on Linux and CLOCK_MONOTONIC_RAW on Darwin (untested).
/// Both go on during sleep, and nobody sets them. A Linux without CLOCK_BOOTTIME gives CLOCK_MONOTONIC, which stands still during sleep.
/// In a time namespace of Linux it is the machine's time since boot all the same.
public struct SystemClock: QueueClock {
  /// Nil while it cannot be read for want of descriptors or memory.
  private let boot: String?

  /// Reads the boot id; cheap to keep, needless to make again. What cannot be read now is read when it is asked for.
  public init() { boot = Self.bootID() }

  #if os(Linux)
  private static var steady: clockid_t { CLOCK_BOOTTIME }
  #else
  /// CLOCK_MONOTONIC there is the wall clock less the time of the boot. This is "like CLOCK_MONOTONIC. However, this clock is unaffected by
  /// frequency or time adjustments": clock_gettime(3) of Darwin.
  private static var steady: clockid_t { CLOCK_MONOTONIC_RAW }
  #endif

  public func now() -> ClockReading {
    ClockReading(wall: Timestamp(microseconds: Self.microseconds(CLOCK_REALTIME)), sinceBoot: sinceBoot(), boot: boot ?? Self.bootID() ?? "")
  }

  public func sinceBoot() -> Int64 { Self.microseconds(Self.steady) &- TimeNamespace.offset }

  public func sleep(untilSinceBoot time: Int64) async throws {
    // Not by `Task.sleep`: jobs that keep each thread of Swift's pool busy would hold up whoever sleeps on another one.
    while sinceBoot() < time { try await Timers.shared.sleep(untilSinceBoot: time) }
  }

  /// - Parameter clock: if the system has none of this number, CLOCK_MONOTONIC is read instead: time that stands still ends no lease.
  static func microseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    if clock_gettime(clock, &time) != 0 { clock_gettime(CLOCK_MONOTONIC, &time) }
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }

  /// "Each boot has its own": random(4) for boot_id on Linux, kern.bootsessionuuid on Darwin.
  ///
  /// - Returns: nil if it can be read at another time.
  private static func bootID() -> String? {
    var buffer = [UInt8](repeating: 0, count: 64)
    #if canImport(Darwin)
    var size = buffer.count
    guard sysctlbyname("kern.bootsessionuuid", &buffer, &size, nil, 0) == 0 else { return "unknown" }
    let text = buffer.prefix { $0 != 0 }
    #else
    let file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? nil : "unknown" }
    defer { close(file) }
    let count = read(file, &buffer, buffer.count)
    let text = buffer.prefix(max(count, 0)).prefix { $0 > 32 }
    #endif
    return String(decoding: text, as: UTF8.self)
  }
}
