#if Dashboard
internal import Qudo
internal import QudoMonitor

/// The content of live pages: the newest sample, and those before it.
struct LiveView: Sendable {
  var sample: QueueSample
  var history: SampleHistory
  /// The pages made from the view. All copies share them.
  let made = MadeParts()

  /// The kinds over all databases.
  var kindRows: [KindRow] { made.rows { KindRow.all(self) } }
}

/// The parts of pages made from one view: each part is made once, for all viewers.
final class MadeParts: Sendable {
  /// A page, and where the dashboard is mounted.
  struct Key: Hashable, Sendable {
    var page: LivePage
    /// The dashboard's path, which links begin with.
    var base: String
  }
  /// The number of paths that are remembered: a dashboard may be mounted at a path with a parameter.
  private static let mostKeys = 16
  // Each lock is held while its part is made, or viewers that are woken together would all make it. They are taken in this order.
  private let madeEvents = Locked<[Key: String]>([:])
  private let madeFragments = Locked<(made: [Key: HTML], count: Int)>(([:], 0))
  private let madeRows = Locked<[KindRow]?>(nil)

  /// The number of fragments that were made.
  var count: Int { madeFragments.withLock { $0.count } }

  /// The text of the event with the parts of a page.
  func event(_ key: Key, _ make: () -> String) -> String {
    madeEvents.withLock { events in
      if let made = events[key] { return made }
      let new = make()
      if events.count < Self.mostKeys { events[key] = new }
      return new
    }
  }

  /// The parts of a page that live updates replace.
  func fragment(_ key: Key, _ make: () -> HTML) -> HTML {
    madeFragments.withLock { fragments in
      if let made = fragments.made[key] { return made }
      let new = make()
      if fragments.made.count < Self.mostKeys { fragments.made[key] = new }
      fragments.count += 1
      return new
    }
  }

  func rows(_ make: () -> [KindRow]) -> [KindRow] {
    madeRows.withLock { rows in
      if let made = rows { return made }
      let new = make()
      rows = new
      return new
    }
  }
}

/// A viewer, who gets views until they leave or are too slow.
final class LiveViewer: Sendable {
  /// The views. One that is not taken in time is replaced by the next.
  let views: AsyncStream<LiveView>
  private let dropped: Locked<Bool>

  init(_ views: AsyncStream<LiveView>, dropped: Locked<Bool>) {
    (self.views, self.dropped) = (views, dropped)
  }

  /// Whether the stream ended because its views were not taken.
  var wasDropped: Bool { dropped.withLock { $0 } }
}
#endif
