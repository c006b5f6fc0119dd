#if Tracing
public import Qudo
public import Tracing

/// Carries a trace from the code that enqueues a job to its runs.
///
///     let queue = Queue(driver) { TracingHook() }
///
/// An enqueue writes the current `ServiceContext` into the job's metadata. Each run is a span of kind consumer, named `process mail.send`
/// for the kind `mail.send`, and linked to that context. Spans and jobs that the run creates belong to it.
public struct TracingHook: Hook {
  /// The relation of a run's span to the context of its enqueue.
  public enum Parent: Sendable {
    /// Its own trace, with a link: a job may run hours later, and more than once.
    case link
    /// A child in the same trace.
    case child
  }

  /// The points that the hook uses.
  public static let points: HookPoints = [.willEnqueue, .around]

  private let tracer: (any Tracer)?
  private let parent: Parent

  /// - Parameters:
  ///   - parent: how the span of a run relates to the context of its enqueue. Default: linked.
  ///   - tracer: what makes spans and writes contexts. Default: the system's, as it is when a job is enqueued or run.
  public init(parent: Parent = .link, tracer: (any Tracer)? = nil) {
    self.tracer = tracer
    self.parent = parent
  }

  /// Writes the current context into the job's metadata, unless the caller has already set one there.
  public func willEnqueue(_ job: inout NewJob) throws {
    guard let context = ServiceContext.current else { return }
    var injected = JobMetadata()
    let instrument: any Instrument = tracer ?? InstrumentationSystem.instrument
    instrument.inject(context, into: &injected, using: MetadataCarrier())
    let names = injected.names
    guard names.allSatisfy({ job.metadata[$0] == nil }) else { return }
    for name in names { job.metadata[name] = injected[name] }
  }

  /// Runs the job in a span.
  public func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    let span = startSpan(context)
    defer { span.end() }
    // `withValue` has no typed throws.
    let result: Swift.Result<Result, Failure> = await ServiceContext.withValue(span.context) {
      do throws(Failure) { return .success(try await body()) } catch { return .failure(error) }
    }
    if case .failure(let error) = result { span.note(error) }
    return try result.get()
  }

  private func startSpan(_ context: JobContext) -> any Span {
    var origin = ServiceContext.topLevel
    let instrument: any Instrument = tracer ?? InstrumentationSystem.instrument
    instrument.extract(context.metadata, into: &origin, using: MetadataCarrier())
    let tracer: any Tracer = tracer ?? InstrumentationSystem.tracer
    let above = parent == .child ? origin : .topLevel
    let span = tracer.startSpan("process \(context.kind)", context: above, ofKind: .consumer)
    if parent == .link, !origin.isEmpty { span.addLink(SpanLink(context: origin, attributes: [:])) }
    if span.isRecording { span.describe(context) }
    return span
  }
}
#endif
