/// The maximum number of waiting jobs of a kind, and what an enqueue does that would exceed it.
///
/// Use it where nothing may drain the queue for a long time, for example in a spool on a device whose disk must not fill
/// up:
///
///     try await queue.enqueue(Measurement(value: 21.5), options: EnqueueOptions(maxWaiting: .refuse(10_000)))
///
/// The bound counts the ready, delayed and held jobs of the kind in the database, in the transaction of the enqueue:
/// several processes cannot exceed it together. Running jobs do not count, not even if their lease has expired, before a
/// claim recovers them. If the unique key or the idempotency key finds a job that is already there, the enqueue adds
/// nothing and is never refused.
///
/// The bound holds for the call that has it. Enqueues without one, retries, replays and the jobs that a run enqueues on
/// completion always succeed, and may exceed it. Within one call, all jobs of a kind that have a bound must have the same
/// one.
public enum MaxWaiting: Hashable, Sendable {
  /// Refuses the call if more than this number of jobs of the kind would wait then, from 1 to 1,000,000,000: it throws
  /// ``QudoError/Code/queueFull``, and stores none of its jobs.
  case refuse(Int)
  /// Moves the oldest waiting jobs of the kind, those with the lowest ids, to the failure log with the reason
  /// ``FailureReason/dropped``, so that at most this number of jobs wait, from 1 to 1,000,000,000. They can be replayed.
  ///
  /// If many more jobs wait than that, because of enqueues without the bound, each call drops up to 1,000 of them in
  /// addition to as many as it adds.
  case dropOldest(Int)
}

extension MaxWaiting {
  /// The bounds that can be given.
  package static let limits = 1...1_000_000_000
  /// The maximum number of jobs that a call drops beyond the number that it adds.
  package static let surplus = 1000

  /// The maximum number of waiting jobs.
  package var limit: Int {
    switch self {
    case .refuse(let limit), .dropOldest(let limit): limit
    }
  }

  /// The message of a dropped job in the failure log.
  package var message: String { "dropped for newer jobs: more than \(limit) of the kind waited" }

  /// The error of a call that would exceed the bound.
  package func refusal(_ kind: Kind) -> QudoError {
    QudoError(
      .queueFull,
      """
      more than \(limit) jobs of kind \(kind) would wait, which is their maximum, and nothing was enqueued: try again when \
      workers have run some, or raise the maximum
      """)
  }

  /// - Throws: ``QudoError/Code/invalidArgument``.
  func check() throws(QudoError) {
    guard Self.limits.contains(limit) else {
      throw QudoError(
        .invalidArgument, "the maximum of \(limit) waiting jobs is outside 1 to 1000000000: give one inside")
    }
  }

  /// Returns the bounds of a call, in the order of the jobs, one for each kind that has one.
  ///
  /// - Throws: ``QudoError/Code/invalidArgument`` if the jobs of one kind have several.
  package static func bounds(of jobs: [NewJob]) throws(QudoError) -> [(kind: Kind, bound: MaxWaiting)] {
    var bounds: [(kind: Kind, bound: MaxWaiting)] = []
    for index in jobs.indices {
      guard let bound = jobs[index].maxWaiting else { continue }
      let job = jobs[index]
      guard let known = bounds.first(where: { $0.kind == job.kind }) else {
        bounds.append((job.kind, bound))
        continue
      }
      guard known.bound == bound else {
        throw QudoError(
          .invalidArgument,
          "jobs of kind \(job.kind) have different maximums of waiting jobs: give all jobs of one call the same"
        )
      }
    }
    return bounds
  }
}
