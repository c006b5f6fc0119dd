#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A value that is protected by a lock.
///
/// `Synchronization.Mutex` would not do: on Linux it uses futexes, which Thread Sanitizer does not know, so
/// that it reports every access as a race. It knows `pthread_mutex_t`. The value must not have size zero, as
/// `()` has: it would have the address of this object, which is read without the lock.
package final class Locked<Value>: @unchecked Sendable {  // reason: `value` is accessed only under `mutex`
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private var value: Value

  package init(_ value: sending Value) {
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
    self.value = value
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  #if QUDO_INTERLEAVINGS
  package func withLock<Result: ~Copyable, Failure: Error>(
    file: StaticString = #fileID, line: UInt = #line,
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    let place = CallSite.at(file, line)
    YieldPolicy.pass(place)
    defer { YieldPolicy.pass(place) }
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    YieldPolicy.pass(place)
    return try body(&value)
  }
  #else
  package func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&value)
  }
  #endif
}
