internal import Qudo

/// Enqueues one job per line of standard input.
extension Enqueue {
  /// The maximum number of lines per transaction. A thousand lines in a transaction are 60× as fast as one at
  /// a time.
  private static let batch = 1000
  /// The size in bytes at which a batch ends; it exceeds this by at most one line. Memory holds each waiting
  /// line several times.
  private static let batchBytes = 2 << 20

  /// Enqueues the lines read so far as soon as no more input is available or a batch is full.
  func stream(_ run: inout EnqueueRun) async throws {
    var splitter = LineSplitter(separator: null ? 0 : UInt8(ascii: "\n"), limit: Limits().payloadBytes)
    let input = InputFile.standardInput
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 262_144, alignment: 16)
    defer { buffer.deallocate() }
    var waiting: [[UInt8]] = []
    // The number of lines taken from `waiting`.
    var done = 0
    var isAtEnd = false
    while !isAtEnd {
      let bytes = try input.next(into: buffer)
      isAtEnd = bytes.isEmpty
      var isTooLong = false
      do { try splitter.feed(bytes, into: &waiting) } catch { isTooLong = true }
      if isAtEnd, let last = splitter.finish() { waiting.append(last) }
      let isPausing = isAtEnd || isTooLong || !input.isReady(within: 0)
      try await enqueueBatches(&waiting, all: isPausing, &done, &run)
      if isTooLong { throw tooLong(splitter) }
    }
  }

  private func enqueueBatches(
    _ waiting: inout [[UInt8]], all: Bool, _ done: inout Int, _ run: inout EnqueueRun
  )
    async throws
  {
    var rest = waiting[...]
    while let count = Self.batch(of: rest, all: all) {
      try await enqueue(rest.prefix(count), after: done, &run)
      rest = rest.dropFirst(count)
      done += count
    }
    waiting = Array(rest)
  }

  /// - Returns: the number of lines for the next transaction; nil until there are enough.
  private static func batch(of waiting: ArraySlice<[UInt8]>, all: Bool) -> Int? {
    var bytes = 0
    for (index, line) in waiting.enumerated() {
      bytes += line.count
      if bytes >= batchBytes || index + 1 == batch { return index + 1 }
    }
    return all && !waiting.isEmpty ? waiting.count : nil
  }

  private func tooLong(_ splitter: LineSplitter) -> CommandError {
    let before = splitter.count == 0 ? "nothing was enqueued" : "the lines before it are enqueued"
    return CommandError(
      "line \(splitter.count + 1) has more than \(splitter.limit) bytes, the limit of a payload; \(before)")
  }

  /// - Parameter done: the number of lines before these.
  private func enqueue(_ payloads: some Sequence<[UInt8]>, after done: Int, _ run: inout EnqueueRun)
    async throws
  {
    var jobs: [NewJob] = []
    // To read the options for each line would take longer than to enqueue it.
    let template = job([], .raw)
    let codec = codec
    var refusal: CommandError?
    for (index, payload) in payloads.enumerated() {
      do throws(CommandError) {
        var job = template
        job.payload = Payload(
          payload, codec: try PayloadCodec.id(of: payload, chosen: codec, line: done + index + 1))
        jobs.append(job)
      } catch {
        refusal = error
        break
      }
    }
    try await run.enqueue(jobs)
    if let refusal {
      throw CommandError(
        refusal.description
          + (done + jobs.count > 0 ? "; the lines before it are enqueued" : "; nothing was enqueued"))
    }
  }
}
