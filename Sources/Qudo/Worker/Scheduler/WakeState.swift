/// The times at which a worker looks for jobs again. Times are in microseconds since the boot.
struct WakeState {
  /// True if a claim might find something.
  var shouldClaim = true
  /// The rings of the doorbell before the last claim.
  var ringsSeen: UInt64 = 0
  /// The time to claim although no bell rings.
  var claimAt = Int64.max
  var isListening = false
  /// With ``Scheduler/Mode/untilEmpty(skipDelayed:)``: whether jobs are left that the last claim could not get.
  var remainingConfirmed = false
  /// The time from which on a worker without room listens, to hear which of its running jobs are cancelled.
  var listensAt: Int64 = 0
  /// The rings that were heard before the last such check; nil before the first one after it began to listen.
  var ringsChecked: UInt64?
}
