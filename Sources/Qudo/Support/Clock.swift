#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The wall time and the time since boot, read at one moment.
public struct ClockReading: Sendable {
  /// The wall time, for due times and log rows. It can jump.
  public var wall: Timestamp
  /// Microseconds since the machine started, including sleep, for leases. It never jumps.
  public var sinceBoot: Int64
  /// The id of the boot that `sinceBoot` counts from. Leases of another boot are void.
  ///
  /// Empty if it is unknown at the moment. A driver that needs it must then fail, or it would treat all
  /// leases as void.
  public var boot: String

  /// Creates a reading; for tests, and for clocks of your own.
  public init(wall: Timestamp, sinceBoot: Int64, boot: String) {
    self.wall = wall
    self.sinceBoot = sinceBoot
    self.boot = boot
  }
}

/// The clock that a worker waits by, and that a database uses if it has no clock of its own.
public protocol QueueClock: Sendable {
  /// Reads all clocks.
  func now() -> ClockReading

  /// Reads only ``ClockReading/sinceBoot``.
  func sinceBoot() -> Int64

  /// Waits until ``sinceBoot()`` has reached `time`.
  ///
  /// - Throws: `CancellationError` if the task is cancelled.
  func sleep(untilSinceBoot time: Int64) async throws
}

/// The machine's clock.
///
/// The wall time is CLOCK_REALTIME. The time since boot, for leases, is CLOCK_BOOTTIME on Linux and
/// CLOCK_MONOTONIC_RAW on Darwin (untested). Both count sleep, and nobody can set them. A Linux without
/// CLOCK_BOOTTIME uses CLOCK_MONOTONIC, which stops during sleep. In a Linux time namespace, the machine's
/// time since boot is still used.
public struct SystemClock: QueueClock {
  /// The boot id; nil while the process lacks descriptors or memory to read it.
  private let boot: String?

  /// Creates a clock and reads the boot id. If that fails now, ``now()`` reads it again.
  public init() { boot = Self.bootID() }

  #if os(Linux)
  private static var steady: clockid_t { CLOCK_BOOTTIME }
  #else
  /// Darwin's CLOCK_MONOTONIC is the wall clock minus the boot time. This clock is "like CLOCK_MONOTONIC.
  /// However, this clock is unaffected by frequency or time adjustments": clock_gettime(3) of Darwin.
  private static var steady: clockid_t { CLOCK_MONOTONIC_RAW }
  #endif

  public func now() -> ClockReading {
    ClockReading(
      wall: Timestamp(microseconds: Self.microseconds(CLOCK_REALTIME)), sinceBoot: sinceBoot(),
      boot: boot ?? Self.bootID() ?? "")
  }

  public func sinceBoot() -> Int64 { Self.timeSinceBoot() }

  /// Reads the time since boot without a clock, whose creation reads the boot id.
  package static func timeSinceBoot() -> Int64 { microseconds(steady) &- TimeNamespace.offset }

  public func sleep(untilSinceBoot time: Int64) async throws {
    // `Task.sleep` would not do: jobs that occupy all threads of Swift's pool would delay it.
    while sinceBoot() < time { try await Timers.shared.sleep(untilSinceBoot: time) }
  }

  /// Returns the processor time that the calling thread has used, in microseconds.
  package static func threadTime() -> Int64 { microseconds(CLOCK_THREAD_CPUTIME_ID) }

  /// - Parameter clock: If the system lacks it, CLOCK_MONOTONIC is read: it may stop, but expires no lease
  ///   early.
  static func microseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    if clock_gettime(clock, &time) != 0 { clock_gettime(CLOCK_MONOTONIC, &time) }
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }

  /// Reads the boot id: on Linux boot_id, "Each boot has its own" (random(4)); on Darwin
  /// kern.bootsessionuuid.
  ///
  /// - Returns: Nil if it cannot be read now, but perhaps later.
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
