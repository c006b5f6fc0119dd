public import Qudo

extension Queue {
  /// Checks that a job is enqueued, and throws a description of what is there instead if it is not. It works with every test
  /// framework: a test that throws has failed.
  ///
  ///     try await queue.expectEnqueued(SendMail.self, unique: "ada", due: .after(.seconds(60))) { $0.to == "ada" }
  ///
  /// Jobs are looked at as their runs would get them: through the queue's codecs and its hooks' `deserialize`. A job that
  /// was completed or given up is not enqueued any more.
  ///
  /// - Parameters:
  ///   - type: the type of the job.
  ///   - count: how many such jobs there are. Default: one or more.
  ///   - unique: the job's unique key. Default: any, or none.
  ///   - priority: the job's priority. Default: any.
  ///   - due: when it may run, counted from its enqueue. Default: at any time. A retry or a snooze moves it.
  ///   - meta: texts that travel beside the payload; there may be others.
  ///   - matches: whether a job is the one that is meant. Default: it is.
  /// - Returns: the jobs that fit, in the order in which they were enqueued.
  /// - Throws: ``UnexpectedJobs``; ``/Qudo/PayloadDecodingError`` for a payload of this kind that is not of the type;
  ///   ``/Qudo/QudoError``, and what `matches` or a hook throws.
  @discardableResult
  public func expectEnqueued<J: Job>(
    _ type: J.Type, count: Int? = nil, unique: String? = nil, priority: Int? = nil, due: Due? = nil,
    meta: [String: String] = [:],
    where matches: (J) throws -> Bool = { _ in true }
  ) async throws -> [EnqueuedJob<J>] {
    let expected = JobExpectation(unique: unique, priority: priority, due: due, meta: meta)
    let all = try await live(nil)
    var found: [EnqueuedJob<J>] = []
    var lines: [String] = []
    for stored in all {
      guard stored.kind == J.kind else {
        lines.append(stored.line("\(stored.payload)"))
        continue
      }
      let job = try decode(J.self, stored)
      lines.append(stored.line("\(job)"))
      if expected.fits(stored), try matches(job) { found.append(EnqueuedJob(job, stored)) }
    }
    try check(found.count, count, "\(J.kind)\(expected.words)", lines)
    return found
  }

  /// As ``expectEnqueued(_:count:unique:priority:due:meta:where:)``, for jobs as bytes.
  ///
  /// - Parameters:
  ///   - kind: of the job.
  ///   - payload: as its run would get it. Default: any.
  ///   - count: how many such jobs there are. Default: one or more.
  ///   - expected: what else is to fit. Default: nothing.
  /// - Returns: the jobs that fit, in the order in which they were enqueued, with the payload as their run would get it.
  /// - Throws: ``UnexpectedJobs``; ``/Qudo/QudoError``, and what a hook throws.
  @discardableResult
  public func expectEnqueued(
    _ kind: Kind, payload: Payload? = nil, count: Int? = nil, _ expected: JobExpectation = JobExpectation()
  ) async throws -> [StoredJob] {
    let all = try await live(nil).map { $0.kind == kind ? try opened($0) : $0 }
    let found = all.filter { $0.kind == kind && $0.payload == payload ?? $0.payload && expected.fits($0) }
    let what = (payload.map { " and the payload \($0.shown)" } ?? "")
    try check(
      found.count, count, "\(kind)\(expected.words)\(what)",
      all.map { $0.line($0.kind == kind ? $0.payload.shown : "\($0.payload)") })
    return found
  }

  /// Checks that no job is enqueued: none of these kinds, or none at all.
  ///
  /// - Throws: ``UnexpectedJobs``, which lists those that are; ``/Qudo/QudoError``.
  public func expectNothingEnqueued(_ kinds: Kind...) async throws {
    let there = try await live(kinds.isEmpty ? nil : kinds)
    guard !there.isEmpty else { return }
    let of = kinds.isEmpty ? "" : " of \(kinds.map(\.name).joined(separator: ", "))"
    throw UnexpectedJobs("no job\(of) was expected", there: there.map { $0.line("\($0.payload)") })
  }

  /// Checks that no job of a type is enqueued that fits.
  ///
  /// - Parameters:
  ///   - type: the type of the job.
  ///   - matches: which jobs must not be there. Default: all.
  /// - Throws: as ``expectEnqueued(_:count:unique:priority:due:meta:where:)``.
  public func expectNothingEnqueued<J: Job>(_ type: J.Type, where matches: (J) throws -> Bool = { _ in true })
    async throws
  {
    try await expectEnqueued(type, count: 0, where: matches)
  }

  private func check(_ found: Int, _ count: Int?, _ what: String, _ lines: [String]) throws {
    if let count {
      guard found != count else { return }
      throw UnexpectedJobs("\(count) jobs \(what) were expected and \(found) fit", there: lines)
    }
    guard found == 0 else { return }
    throw UnexpectedJobs("no job \(what) fits", there: lines)
  }
}

extension Payload {
  /// As text, if it is one: in a test one wants to see it.
  var shown: String { String(validating: bytes, as: UTF8.self).map { "\"\($0)\"" } ?? description }
}
