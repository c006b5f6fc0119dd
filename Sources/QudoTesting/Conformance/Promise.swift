/// The numbered promises that every driver makes.
public enum Promise: Int, Sendable, CaseIterable {
  /// An acknowledged enqueue is never lost.
  case nothingIsLost = 1
  /// Every job runs at least once, ends in the failure log, or is replaced by a caller.
  case everyJobRuns
  /// A claim is exclusive until its lease expires. Only the token of the current lease can settle, renew or
  /// release.
  case claimsAreExclusive
  /// A settle removes or reschedules the job, writes the log rows and inserts the replacements atomically.
  case settlingIsAtomic
  /// Ids are never reused, even after the job with the highest id is deleted.
  case idsAreNeverReused
  /// Per kind, at most one live job has a given unique key. Keys are compared as bytes.
  case keysAreUnique
  /// Jobs of all the worker's kinds run by highest priority, then earliest due time, then age. No delayed job
  /// starves.
  case jobsComeInOrder
  /// The cost of a claim does not depend on the other contents of the database.
  ///
  /// The cases cannot assert times; they check that answers stay correct among many rows. A driver's own
  /// tests must check the cost: those of QudoSQLite read the query plan of each hot statement.
  case costIsFlat
  /// Contention never causes an error before the driver's own timeout.
  case contentionIsHidden
  /// Due times are wall time. Leases are not: they survive jumps of the wall clock and end at a reboot.
  case clocksAreKeptApart
  /// Payloads come back byte for byte. Invalid input is rejected before anything is written.
  case payloadsAreExact
  /// Jobs of kinds that this worker does not handle are left alone.
  case foreignKindsAreLeftAlone
  /// A job whose worker dies repeatedly ends in the failure log.
  case poisonIsStopped

  /// An enqueue with an idempotency key is done once, however often it is repeated while its receipt is kept.
  case enqueuesCanBeRepeated
  /// Attempts start at 1. A retry counts as an attempt, a snooze only on request, a release never.
  case attemptsAreCounted
  /// Every failed run is logged. A final failure has the payload and can be replayed once. Finished runs are
  /// logged on request.
  case logsAreKept
  /// Listings and counts show the current state of the jobs, in pages.
  case listingsAreTrue
  /// Waiting workers are woken when there may be jobs to claim.
  case waitersAreWoken
  /// A cancelled job does not begin, or does not begin again; an expired one does not begin; a paused kind is not claimed.
  case jobsAreControlled
  /// The jobs of a schedule's tick are enqueued at most once, together with the schedule's next tick, however many
  /// schedulers there are.
  case ticksAreEnqueuedOnce
  /// No claim lets more jobs of a kind run than the maximum that it states, nor more begin than its rate lets, however many
  /// workers there are, and however they end.
  case limitsHold
  /// Jobs of a concurrency key are admitted in the order of their enqueues, and keep their places until they leave the queue. A key that a
  /// final failure stops admits none.
  case keysKeepOrder
  /// The ready jobs of the groups of a kind and priority begin in turn, one of each group at a time.
  case groupsTakeTurns
}
