internal import Qudo
internal import QudoMonitor

/// The rows of the lists, as the filter and the order have them.
extension TopState {
  /// Whether there are several databases, so that rows name theirs.
  var isSeveral: Bool { sample.map { $0.databases.count > 1 } ?? false }

  /// Whether the filter lets a kind through, even while it is typed.
  private func fits(_ kind: Kind) -> Bool {
    let part = (draft ?? filter).lowercased()
    return part.isEmpty || kind.name.lowercased().contains(part)
  }

  var kindRows: [KindRow] {
    let all = (sample?.databases ?? []).flatMap { database in
      (database.state?.kinds ?? []).lazy.filter { fits($0.kind) }.map {
        KindRow(database: database.name, sample: $0)
      }
    }
    func sorted(_ value: (KindSample) -> Double) -> [KindRow] {
      all.enumerated().sorted { a, b in
        (value(b.element.sample), a.offset) < (value(a.element.sample), b.offset)
      }.map(\.element)
    }
    return switch sort {
    case .name: all
    case .ready: sorted { Double($0.ready) }
    case .running: sorted { Double($0.running) }
    case .failures: sorted { Double($0.failuresInMinute) }
    case .oldest: sorted { Double($0.oldestReady?.wholeMicroseconds ?? -1) }
    case .change: sorted { abs($0.changePerSecond ?? 0) }
    }
  }

  /// The running jobs, those claimed first coming first.
  var jobRows: [JobRow] {
    let all = (sample?.databases ?? []).flatMap { database in
      (database.state?.workers ?? []).lazy.flatMap(\.jobs).filter { fits($0.kind) }.map {
        JobRow(database: database.name, job: $0)
      }
    }
    return all.sorted {
      ($0.job.startedAt ?? .latest, $0.database, $0.job.id) < (
        $1.job.startedAt ?? .latest, $1.database, $1.job.id
      )
    }
  }

  var failureRows: [FailureRow] { failures.filter { fits($0.failure.kind) } }

  /// The figures of the kind that is open; nil if the last sample lacks it.
  var openKind: KindRow? {
    guard case .kind(let id) = details.last(where: { if case .kind = $0 { true } else { false } }) else {
      return nil
    }
    let kind = sample?.databases.first { $0.name == id.database }?.state?.kinds.first { $0.kind == id.value }
    return kind.map { KindRow(database: id.database, sample: $0) }
  }
}
