/// The answers of a source's database.
extension Scheduler {
  mutating func settled(_ source: Int, _ settlements: [Settlement], _ results: [SettleResult]) {
    sources[source].settled(settlements, results)
  }

  /// Keeps claimed jobs for the slots.
  ///
  /// - Returns: The slots whose tasks must be cancelled, as the claim told of cancelled jobs.
  mutating func claimed(
    _ source: Int, _ claim: Claim, by request: ClaimRequest, asked: Int64, now: Int64
  ) -> [Int] {
    sources[source].claimed(claim, by: request, asked: asked, now: now, phase, &kinds)
    return cancel(source, claim.cancelling, now: now)
  }

  /// Keeps settlements that were not written, and sets the time of the next attempt.
  ///
  /// - Returns: Whether to give up.
  mutating func failed(_ source: Int, _ settlements: [Settlement], now: Int64) -> Bool {
    let givesUp = sources[source].failed(settlements, now: now, phase)
    sources[source].mayHaveMore = false
    endTurn(source, now: now)
    return givesUp
  }
}
