extension QueueClock {
  /// Returns after a duration.
  ///
  /// - Throws: `CancellationError` if the task is cancelled.
  public func sleep(for duration: Duration) async throws {
    try await sleep(untilSinceBoot: sinceBoot().clampedPlus(duration.wholeMicroseconds))
  }
}
