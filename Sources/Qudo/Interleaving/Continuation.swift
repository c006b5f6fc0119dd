// The library creates all its continuations here, so that a build with `QUDO_INTERLEAVINGS` can count them.

#if QUDO_INTERLEAVINGS
internal import Synchronization

/// A `CheckedContinuation` that counts its creation and its resumption per call site.
package final class Continuation<Value, Failure: Error>: Sendable {
  private let inner: CheckedContinuation<Value, Failure>
  private let place: CallSite
  private let isResumed = Atomic(false)

  init(_ inner: CheckedContinuation<Value, Failure>, _ place: CallSite) {
    (self.inner, self.place) = (inner, place)
    place.made()
  }

  /// Counts a continuation that was never resumed: its task waits forever.
  deinit { if !isResumed.load(ordering: .relaxed) { place.forgotten() } }

  package func resume(with result: sending Swift.Result<Value, Failure>) {
    // A second call is counted and ignored, so that the process survives to report the seed.
    guard !isResumed.exchange(true, ordering: .relaxed) else { return place.resumedAgain() }
    YieldPolicy.pass(place)
    place.resumed()
    inner.resume(with: result)
    YieldPolicy.pass(place)
  }

  package func resume(returning value: sending Value) { resume(with: .success(value)) }
  package func resume(throwing error: Failure) { resume(with: .failure(error)) }
  package func resume() where Value == Void { resume(with: .success(())) }
}

package func withContinuation<Value>(
  isolation: isolated (any Actor)? = #isolation, file: StaticString = #fileID, line: UInt = #line,
  _ body: (Continuation<Value, Never>) -> Void
) async -> sending Value {
  let place = CallSite.at(file, line)
  YieldPolicy.pass(place)
  let value = await withCheckedContinuation { body(Continuation($0, place)) }
  for _ in 0..<YieldPolicy.yields(place) { await Task.yield() }
  return value
}

package func withThrowingContinuation<Value>(
  isolation: isolated (any Actor)? = #isolation, file: StaticString = #fileID, line: UInt = #line,
  _ body: (Continuation<Value, any Error>) -> Void
) async throws -> sending Value {
  let place = CallSite.at(file, line)
  YieldPolicy.pass(place)
  let value = try await withCheckedThrowingContinuation { body(Continuation($0, place)) }
  for _ in 0..<YieldPolicy.yields(place) { await Task.yield() }
  return value
}
#else
package typealias Continuation = CheckedContinuation

@inlinable @inline(__always)
package func withContinuation<Value>(
  isolation: isolated (any Actor)? = #isolation, _ body: (CheckedContinuation<Value, Never>) -> Void
) async -> sending Value {
  await withCheckedContinuation(body)
}

@inlinable @inline(__always)
package func withThrowingContinuation<Value>(
  isolation: isolated (any Actor)? = #isolation, _ body: (CheckedContinuation<Value, any Error>) -> Void
) async throws -> sending Value {
  try await withCheckedThrowingContinuation(body)
}
#endif
