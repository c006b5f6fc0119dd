internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Checks that this process can create the threads that it needs. The runtime would wait forever for a thread
/// that it cannot create.
enum ThreadLimit {
  /// The threads besides one per processor: for the writer, the reader, signals, outputs and starting
  /// commands.
  private static let others = 12

  /// If processes or memory are limited, creates that many threads and ends them.
  static func check() throws(CommandError) {
    #if canImport(Glibc)
    guard isLimited(__RLIMIT_NPROC) || isLimited(RLIMIT_AS) else { return }
    let count = others + max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return }
    let reading = ends[0]
    var threads: [pthread_t] = []
    var error: Int32 = 0
    while threads.count < count, error == 0 {
      var thread = pthread_t()
      // The thread ends when the pipe is closed.
      error = pthread_create(
        &thread, nil,
        { file in
          var byte: UInt8 = 0
          _ = read(Int32(Int(bitPattern: file)) - 1, &byte, 1)
          return nil
        }, UnsafeMutableRawPointer(bitPattern: Int(reading) + 1))  // unsafe: a number, not a pointer
      if error == 0 { threads.append(thread) }
    }
    close(ends[1])
    for thread in threads { pthread_join(thread, nil) }
    close(reading)
    guard error == 0 else {
      throw CommandError(
        "only \(threads.count) of \(count) threads can be started (\(String(cString: strerror(error)))). Raise the limit of processes "
          + "(ulimit -u) or of memory (ulimit -v)")
    }
    #endif
  }

  #if canImport(Glibc)
  private static func isLimited(_ resource: __rlimit_resource) -> Bool {
    var limit = rlimit()
    // The default process limit of most systems, root's included, is far above the threshold here.
    return getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 && limit.rlim_cur != rlim_t.max
      && (resource != __RLIMIT_NPROC || limit.rlim_cur < 1024)
  }
  #endif
}
