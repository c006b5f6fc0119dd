/// When to talk to the database. The slots go on with what is buffered meanwhile.
extension WorkerState {
  /// How long a finished job waits for others to be settled with.
  static let settleDelay: Int64 = 2000

  /// Whether what has finished is to be settled now: when nothing is left for a slot that asks, and otherwise soon.
  func isSettleDue(_ now: Int64) -> Bool {
    guard !finished.isEmpty else { return false }
    return bufferedCount == 0 || phase != .working || isCrowdedOut || now - finishedSince >= Self.settleDelay
  }

  /// Whether it is worth while to claim: half of the last batch has begun, or much is to be settled in the same transaction.
  var isRefillDue: Bool { bufferedCount <= refillAt || finished.count >= 250 }

  /// Whether the end of a run gives something to do: to wake for each would cost more than many a run.
  func hasNews(_ now: Int64) -> Bool {
    // The first one sets the time by which it is settled.
    finished.count <= 1 || (hungry && isRefillDue) || isSettleDue(now)
  }
}
