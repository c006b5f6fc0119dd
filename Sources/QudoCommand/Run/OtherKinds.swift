internal import Qudo

/// Reports the kinds of ready jobs that this worker does not run, each kind once. A job whose kind is
/// mistyped, here or by the code that enqueues it, waits forever and shows in no metric.
///
/// It counts the jobs at the start, at the end and occasionally in between, never as part of a claim.
final class OtherKinds: Sendable {
  private let databases: Databases
  private let own: Set<Kind>
  private let told = Locked<Set<Kind>>([])

  init(_ databases: Databases, own: [Kind]) {
    self.databases = databases
    self.own = Set(own)
  }

  /// The minimum time between counts, and the factor by which it exceeds the time that a count took. Counting
  /// many jobs from many processes is expensive.
  private static let (interval, share) = (Duration.seconds(600), 100)

  /// Counts repeatedly until the task is cancelled.
  func watch() async {
    while !Task.isCancelled {
      let start = ContinuousClock.now
      await look()
      let took = ContinuousClock.now - start
      do { try await Task.sleep(for: max(Self.interval, took * Self.share)) } catch { return }  // Cancelled.
    }
  }

  /// Counts once. The worker reports databases that do not answer.
  func look() async {
    let answers = await databases.count()
    guard !Task.isCancelled else { return }
    var counts: [Kind: Int] = [:]
    for answer in answers {
      for count in (try? answer.result.get()) ?? [] where count.ready > 0 && !own.contains(count.kind) {
        counts[count.kind, default: 0] += count.ready
      }
    }
    let new = told.withLock { told in counts.keys.filter { told.insert($0).inserted } }
    guard !new.isEmpty else { return }
    let most = 10
    let names = new.sorted { $0.name < $1.name }.prefix(most).map {
      "\(SafeText.terminalSafe($0.name)) (\(counts[$0, default: 0]))"
    }
    let more = new.count > most ? ", and \(new.count - most) more kinds" : ""
    printError(
      "this worker does not run these kinds, which have ready jobs: \(names.joined(separator: ", "))\(more)")
  }
}
