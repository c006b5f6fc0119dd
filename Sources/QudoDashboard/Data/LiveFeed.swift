#if Dashboard
internal import Qudo
internal import QudoMonitor

/// Samples the queue for all viewers together, and only while there are any.
actor LiveFeed {
  private struct Viewer {
    let continuation: AsyncStream<LiveView>.Continuation
    /// Shared with the viewer, to tell it that it was dropped. The feed does not keep the viewer itself, which leaves when it is released.
    let dropped: Locked<Bool>
    /// Since when the viewer has not taken a view; nil if it took the last one.
    var behindSince: Int64?
  }
  /// A sample that is being taken.
  private struct Flight {
    let task: Task<LiveView, Never>
    /// The changes that were made before it began.
    let changes: Int
  }

  /// How long a viewer may take no view before it is dropped, in microseconds.
  static let mostBehind: Int64 = 10_000_000

  private let sampler: QueueSampler
  private let clock: any QueueClock
  private let interval: Duration
  private let maxViewers: Int
  private var history = SampleHistory()
  private var newest: LiveView?
  private var inFlight: Flight?
  private var loop: Task<Void, Never>?
  private var viewers: [Int: Viewer] = [:]
  private var nextViewer = 0
  private var isEnded = false
  /// The number of changes to the queue, and how many of them the newest sample shows.
  private var (changes, shownChanges) = (0, 0)

  /// - Parameters:
  ///   - interval: The shortest time from one sample to the next.
  ///   - maxViewers: The maximum number of streams.
  init(_ sampler: QueueSampler, interval: Duration, maxViewers: Int, clock: any QueueClock) {
    (self.sampler, self.interval, self.maxViewers, self.clock) = (sampler, interval, maxViewers, clock)
  }

  /// Returns a view that is not older than the sampler's pace and the last change; it takes a sample only if there is none.
  func current() async -> LiveView {
    if let newest, shownChanges == changes {
      let age = clock.sinceBoot() - newest.sample.sinceBoot
      if age >= 0, age < newest.sample.timeUntilNext(interval).wholeMicroseconds { return newest }
    }
    return await sample()
  }

  /// Lets the next look take a sample that begins after now, because the queue was changed.
  func invalidate() { changes += 1 }

  /// Returns a viewer that gets a view at once and then each new one; nil if there are too many.
  func join() -> LiveViewer? {
    if viewers.count >= maxViewers { dropSlow() }
    guard !isEnded, viewers.count < maxViewers else { return nil }
    let id = nextViewer
    nextViewer += 1
    let (stream, continuation) = AsyncStream.makeStream(
      of: LiveView.self, bufferingPolicy: .bufferingNewest(1))
    continuation.onTermination = { [weak self] _ in
      guard let self else { return }
      Task { await self.leave(id) }
    }
    let dropped = Locked(false)
    viewers[id] = Viewer(continuation: continuation, dropped: dropped)
    // Otherwise one who comes later would wait for the next sample.
    if let newest, loop != nil { continuation.yield(newest) }
    if loop == nil { loop = Task { [weak self] in await self?.run() } }
    return LiveViewer(stream, dropped: dropped)
  }

  /// The newest sample, whatever its age; nil if there is none.
  var known: QueueSample? { newest?.sample }
  /// The number of streams.
  var viewerCount: Int { viewers.count }
  /// The number of samples that were taken.
  private(set) var sampleCount = 0

  /// Ends all streams, and begins no further ones.
  func end() {
    isEnded = true
    loop?.cancel()
    for viewer in viewers.values { viewer.continuation.finish() }
    viewers = [:]
  }

  private func leave(_ id: Int) {
    viewers[id] = nil
    // The queue is left alone when nobody looks.
    if viewers.isEmpty {
      loop?.cancel()
      loop = nil
    }
  }

  /// Drops the viewers that have taken no view for long: others get their places.
  private func dropSlow() {
    let now = clock.sinceBoot()
    for (id, viewer) in viewers where viewer.behindSince.map({ now - $0 >= Self.mostBehind }) ?? false {
      viewer.dropped.withLock { $0 = true }
      viewer.continuation.finish()
      leave(id)
    }
  }

  private func send(_ view: LiveView) {
    let now = clock.sinceBoot()
    for (id, viewer) in viewers {
      if case .dropped = viewer.continuation.yield(view) {
        viewers[id]?.behindSince = viewer.behindSince ?? now
      } else {
        viewers[id]?.behindSince = nil
      }
    }
    dropSlow()
  }

  private func run() async {
    while !Task.isCancelled {
      let view = await current()
      if Task.isCancelled { return }
      send(view)
      let next = view.sample.sinceBoot.clampedPlus(view.sample.timeUntilNext(interval).wholeMicroseconds)
      do { try await clock.sleep(untilSinceBoot: next) } catch { return }
    }
  }

  private func sample() async -> LiveView {
    let wanted = changes
    // Those who ask meanwhile get the same one, unless it began before a change.
    while let flight = inFlight {
      let view = await flight.task.value
      if flight.changes >= wanted { return view }
    }
    let began = changes
    let task = Task { [sampler] in add(await sampler.sample(), changes: began) }
    inFlight = Flight(task: task, changes: began)
    return await task.value
  }

  private func add(_ sample: QueueSample, changes: Int) -> LiveView {
    sampleCount += 1
    inFlight = nil
    shownChanges = changes
    // What was before a long time without viewers says nothing about now.
    if let newest, sample.sinceBoot - newest.sample.sinceBoot > 600_000_000 { history = SampleHistory() }
    history.append(sample)
    let view = LiveView(sample: sample, history: history)
    newest = view
    return view
  }
}
#endif
