/// What every driver promises, by number.
public enum Promise: Int, Sendable, CaseIterable {
  /// An acknowledged enqueue is never lost.
  case nothingIsLost = 1
  /// Every job is run at least once, or is in the failure log, or was replaced by a caller.
  case everyJobRuns
  /// A claim is exclusive until its lease ends, and only the current lease's token can settle, extend or release.
  case claimsAreExclusive
  /// Removal or rescheduling, the log rows and the replacements of a settle are written all or none.
  case settlingIsAtomic
  /// Ids are never reused, not even after the highest one is deleted.
  case idsAreNeverReused
  /// At most one live job has a unique key, per kind, compared as bytes.
  case keysAreUnique
  /// Highest priority, then earliest due, then oldest, across all the worker's kinds; and no delayed job starves.
  case jobsComeInOrder
  /// The cost of a claim does not grow with what else is in the database.
  ///
  /// Time cannot be asserted; the cases show that the answers stay right among many rows. A driver's own tests show
  /// the cost: QudoSQLite reads the plan of each hot statement.
  case costIsFlat
  /// Contention never reaches the caller as an error before the driver's own time-out.
  case contentionIsHidden
  /// Due times are wall time, leases are not: they survive its jumps and end with the boot.
  case clocksAreKeptApart
  /// Payloads come back byte for byte, and what is refused is refused before anything is written.
  case payloadsAreExact
  /// Jobs of kinds that nobody here performs are left alone.
  case foreignKindsAreLeftAlone
  /// A job whose worker dies again and again ends in the failure log.
  case poisonIsStopped

  /// An enqueue under an idempotency key is done once, however often it is repeated, for as long as receipts are kept.
  case enqueuesCanBeRepeated
  /// Attempts start at 1; a retry counts one, a snooze only if asked, a release never.
  case attemptsAreCounted
  /// Every failed run is logged, final ones with the payload and open to one replay; statuses are logged when asked.
  case logsAreKept
  /// Listings and counts show the jobs as they are, in pages.
  case listingsAreTrue
  /// Who waits is told when there may be jobs to claim.
  case waitersAreWoken
}
