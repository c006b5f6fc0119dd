internal import Dispatch
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Tells when a file is written to, by whichever process: inotify on Linux, kqueue on Darwin (untested).
///
/// Where the system has no more watches to give, the file's time is looked at every 20 ms instead.
final class FileWatch: Sendable {
  private struct State {
    var isActive = false
    var source: (any DispatchSourceProtocol)?
    var change: @Sendable () -> Void = {}
  }
  private let path: String
  private let state = Locked(State())
  private let thread = DispatchQueue(label: "qudo.watch", qos: .userInitiated)

  init(path: String) { self.path = path }

  deinit { state.withLock { $0.source?.cancel() } }

  func onChange(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.change = body } }

  func setActive(_ active: Bool) {
    state.withLock { state in
      guard active != state.isActive else { return }
      state.isActive = active
      state.source?.cancel()
      state.source = active ? source(state.change) : nil
      state.source?.activate()
    }
  }

  #if os(Linux)
  private func source(_ change: @escaping @Sendable () -> Void) -> any DispatchSourceProtocol {
    let events = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
    guard events >= 0 else { return pollingSource(change) }
    guard inotify_add_watch(events, path, UInt32(IN_MODIFY)) >= 0 else {
      close(events)
      return pollingSource(change)
    }
    let source = DispatchSource.makeReadSource(fileDescriptor: events, queue: thread)
    source.setEventHandler {
      Schedule.point()
      // What happened does not matter, and many writes are one change.
      withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
        while read(events, buffer.baseAddress, buffer.count) > 0 {}
      }
      change()
    }
    source.setCancelHandler { close(events) }
    return source
  }
  #elseif canImport(Darwin)
  private func source(_ change: @escaping @Sendable () -> Void) -> any DispatchSourceProtocol {
    let file = open(path, O_EVTONLY | O_CLOEXEC)
    guard file >= 0 else { return pollingSource(change) }
    let source = DispatchSource.makeFileSystemObjectSource(fileDescriptor: file, eventMask: [.write, .extend], queue: thread)
    source.setEventHandler(handler: change)
    source.setCancelHandler { close(file) }
    return source
  }
  #endif

  private func pollingSource(_ change: @escaping @Sendable () -> Void) -> any DispatchSourceProtocol {
    let source = DispatchSource.makeTimerSource(queue: thread)
    source.schedule(deadline: .now(), repeating: .milliseconds(20))
    let seen = Locked(Self.stamp(path))
    source.setEventHandler { [path] in
      let now = Self.stamp(path)
      let changed = seen.withLock { seen in
        defer { seen = now }
        return seen != now
      }
      if changed { change() }
    }
    return source
  }

  /// Size and time of the last change.
  private static func stamp(_ path: String) -> [Int] {
    var info = stat()
    guard stat(path, &info) == 0 else { return [] }
    #if canImport(Darwin)
    let time = info.st_mtimespec
    #else
    let time = info.st_mtim
    #endif
    return [Int(info.st_size), Int(time.tv_sec), Int(time.tv_nsec)]
  }
}
