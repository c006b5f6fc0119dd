/// The points where a lock, a continuation or a thread changes hands.
///
/// In a build with `-Xswiftc -DQUDO_INTERLEAVINGS`, a thread that reaches a point may have to yield, as a
/// seed determines: see `InterleavingTests` in the article "Evidence". In any other build the points are
/// empty. ``Locked`` and ``Continuation`` have their own points.
package enum Interleaving {
  #if QUDO_INTERLEAVINGS
  package static func point(file: StaticString = #fileID, line: UInt = #line) {
    YieldPolicy.pass(CallSite.at(file, line))
  }

  /// A point in a task, which can also yield to other tasks.
  package static func pause(
    isolation: isolated (any Actor)? = #isolation, file: StaticString = #fileID, line: UInt = #line
  ) async {
    let place = CallSite.at(file, line)
    YieldPolicy.pass(place)
    for _ in 0..<YieldPolicy.yields(place) { await Task.yield() }
  }
  #else
  @inlinable @inline(__always)
  package static func point() {}

  @inlinable @inline(__always)
  package static func pause(isolation: isolated (any Actor)? = #isolation) async {}
  #endif
}
