internal import Qudo

/// Says which kinds have ready jobs that a worker does not run, each kind once: one whose name is mistyped, here or where it is
/// enqueued, waits for ever and is in no metric.
///
/// It counts the jobs at the start, at the end, and now and then between, never with a claim.
final class OtherKinds: Sendable {
  private let databases: Databases
  private let own: Set<Kind>
  private let told = Locked<Set<Kind>>([])

  init(_ databases: Databases, own: [Kind]) {
    self.databases = databases
    self.own = Set(own)
  }

  /// How long from one look to the next, and by how much longer than a look took: jobs that many processes count are many.
  private static let (interval, share) = (Duration.seconds(600), 100)

  /// Looks until the task is cancelled.
  func watch() async {
    while !Task.isCancelled {
      let start = ContinuousClock.now
      await look()
      let took = ContinuousClock.now - start
      do { try await Task.sleep(for: max(Self.interval, took * Self.share)) } catch { return }  // Cancelled.
    }
  }

  /// A database that does not answer is the worker's to tell of.
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
    let more = new.count > most ? ", and \(new.count - most) kinds more" : ""
    printError(
      "jobs are ready of kinds that this worker does not run: \(names.joined(separator: ", "))\(more)")
  }
}
