public import Qudo

/// A clock that stands still until it is told to go on.
public final class ManualClock: QueueClock {
  private let reading: Locked<ClockReading>

  public init(
    wall: Timestamp = Timestamp(microseconds: 1_700_000_000_000_000), sinceBoot: Int64 = 1_000_000, boot: String = "boot-1"
  ) {
    reading = Locked(ClockReading(wall: wall, sinceBoot: sinceBoot, boot: boot))
  }

  public func now() -> ClockReading { reading.withLock { $0 } }

  /// Time passes: both clocks go on.
  public func advance(by duration: Duration) {
    reading.withLock {
      $0.wall = $0.wall.advanced(by: duration)
      $0.sinceBoot += duration.wholeMicroseconds
    }
  }

  /// Somebody sets the wall clock: no time passes.
  public func jump(by duration: Duration) {
    reading.withLock { $0.wall = $0.wall.advanced(by: duration) }
  }

  /// The machine starts anew: its steady clock begins at nought.
  public func reboot(as boot: String) {
    reading.withLock {
      $0.sinceBoot = 0
      $0.boot = boot
    }
  }
}
