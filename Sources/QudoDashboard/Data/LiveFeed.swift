#if Dashboard
internal import Qudo
internal import QudoMonitor

/// What live pages show: the newest sample, and those before it.
struct LiveView: Sendable {
  var sample: QueueSample
  var history: SampleHistory
}

/// Samples the queue for all viewers together, and only while there are any.
actor LiveFeed {
  private let sampler: QueueSampler
  private let clock: any QueueClock
  private let interval: Duration
  private let maxViewers: Int
  private var history = SampleHistory()
  private var newest: QueueSample?
  private var inFlight: Task<LiveView, Never>?
  private var loop: Task<Void, Never>?
  private var viewers: [Int: AsyncStream<LiveView>.Continuation] = [:]
  private var nextViewer = 0
  private var isEnded = false
  private var isOutdated = false

  /// - Parameters:
  ///   - interval: The shortest time from one sample to the next.
  ///   - maxViewers: The maximum number of streams.
  init(_ sampler: QueueSampler, interval: Duration, maxViewers: Int, clock: any QueueClock) {
    (self.sampler, self.interval, self.maxViewers, self.clock) = (sampler, interval, maxViewers, clock)
  }

  /// Returns a view that is not older than the sampler's pace; it takes a sample only if there is none.
  func current() async -> LiveView {
    if let newest, !isOutdated {
      let age = clock.sinceBoot() - newest.sinceBoot
      if age >= 0, age < newest.timeUntilNext(interval).wholeMicroseconds {
        return LiveView(sample: newest, history: history)
      }
    }
    return await sample()
  }

  /// Lets the next look take a sample, because the queue was changed.
  func invalidate() { isOutdated = true }

  /// Returns a stream that has a view at once and then each new one; nil if there are too many viewers.
  func join() -> AsyncStream<LiveView>? {
    guard !isEnded, viewers.count < maxViewers else { return nil }
    let id = nextViewer
    nextViewer += 1
    let (stream, continuation) = AsyncStream.makeStream(
      of: LiveView.self, bufferingPolicy: .bufferingNewest(1))
    continuation.onTermination = { [weak self] _ in
      guard let self else { return }
      Task { await self.leave(id) }
    }
    viewers[id] = continuation
    // Otherwise one who comes later would wait for the next sample.
    if let newest, loop != nil { continuation.yield(LiveView(sample: newest, history: history)) }
    if loop == nil { loop = Task { [weak self] in await self?.run() } }
    return stream
  }

  /// The newest sample, whatever its age; nil if there is none.
  var known: QueueSample? { newest }
  /// The number of streams.
  var viewerCount: Int { viewers.count }
  /// The number of samples that were taken.
  private(set) var sampleCount = 0

  /// Ends all streams, and begins no further ones.
  func end() {
    isEnded = true
    loop?.cancel()
    for viewer in viewers.values { viewer.finish() }
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

  private func run() async {
    while !Task.isCancelled {
      let view = await current()
      if Task.isCancelled { return }
      for viewer in viewers.values { viewer.yield(view) }
      let next = view.sample.sinceBoot.clampedPlus(view.sample.timeUntilNext(interval).wholeMicroseconds)
      do { try await clock.sleep(untilSinceBoot: next) } catch { return }
    }
  }

  private func sample() async -> LiveView {
    // Those who ask meanwhile get the same one.
    if let inFlight { return await inFlight.value }
    isOutdated = false
    let task = Task { [sampler] in add(await sampler.sample()) }
    inFlight = task
    let view = await task.value
    inFlight = nil
    return view
  }

  private func add(_ sample: QueueSample) -> LiveView {
    sampleCount += 1
    // What was before a long time without viewers says nothing about now.
    if let newest, sample.sinceBoot - newest.sinceBoot > 600_000_000 { history = SampleHistory() }
    newest = sample
    history.append(sample)
    return LiveView(sample: sample, history: history)
  }
}
#endif
