internal import Dispatch
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A watch that reports writes to a file by any process, and processes that closed it or died.
///
/// It uses inotify on Linux. On Darwin it uses kqueue, which reports only writes (untested). If the system is out of
/// watches, it polls the file's modification time and the watched processes every 20 ms.
final class FileWatch: Sendable {
  private struct State {
    var isActive = false
    var source: (any DispatchSourceProtocol)?
    var change: @Sendable () -> Void = {}
    var pause: @Sendable () -> Int = { 0 }
    var hasDied: @Sendable () -> Bool = { false }
  }
  private let path: String
  private let polls: Bool
  private let state = Locked(State())
  private let thread = DispatchQueue(label: "qudo.watch", qos: .userInitiated)

  /// - Parameter polls: Whether to poll as if the system were out of watches; for tests.
  init(path: String, polls: Bool = false) { (self.path, self.polls) = (path, polls) }

  deinit { state.withLock { $0.source?.cancel() } }

  /// - Parameter pause: Returns how many milliseconds to wait after a change before reporting the next.
  func onChange(_ body: @escaping @Sendable () -> Void, pause: @escaping @Sendable () -> Int = { 0 }) {
    state.withLock { ($0.change, $0.pause) = (body, pause) }
  }

  /// - Parameter hasDied: Returns whether a watched process has died. Called when a process has closed the file.
  func onClose(_ hasDied: @escaping @Sendable () -> Bool) { state.withLock { $0.hasDied = hasDied } }

  func setActive(_ active: Bool) {
    state.withLock { state in
      guard active != state.isActive else { return }
      state.isActive = active
      state.source?.cancel()
      state.source = active ? source(state.change, state.hasDied, state.pause) : nil
      state.source?.activate()
    }
  }

  #if os(Linux)
  private func source(
    _ change: @escaping @Sendable () -> Void, _ hasDied: @escaping @Sendable () -> Bool,
    _ pause: @escaping @Sendable () -> Int
  ) -> any DispatchSourceProtocol {
    let events = polls ? -1 : inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
    guard events >= 0 else { return pollingSource(change, hasDied) }
    guard Self.arm(events, path, IN_MODIFY | IN_CLOSE_WRITE) else {
      close(events)
      return pollingSource(change, hasDied)
    }
    let source = DispatchSource.makeReadSource(fileDescriptor: events, queue: thread)
    source.setEventHandler { [thread, path, weak own = source as? DispatchSource] in
      Interleaving.point()
      // Many writes are one change. Every event but a close counts as a change, lost events included.
      var (changed, closed) = Self.drain(events)
      var seen = PolledFile([])
      while changed || closed {
        if changed { change() }
        if closed { Self.look(hasDied, change, thread, Self.delays) }
        guard changed, case let pause = pause(), pause > 0, own?.isCancelled == false else { return }
        // Sleep on this otherwise idle thread: all changes meanwhile become one, and wake the process once.
        guard pause >= Self.tick else {
          usleep(UInt32(pause) * 1000)
          return
        }
        // The kernel does not report them: it would do so within each write of the other processes.
        let isArmed = Self.arm(events, path, IN_CLOSE_WRITE)
        usleep(UInt32(pause) * 1000)
        guard isArmed, Self.arm(events, path, IN_MODIFY | IN_CLOSE_WRITE) else { return change() }
        closed = Self.drain(events).closed
        changed = seen.changes(to: Self.stamp(path))
      }
    }
    source.setCancelHandler { close(events) }
    return source
  }

  /// The longest tick of the kernel's clock, which sets modification times, in milliseconds. In a shorter pause a write may leave
  /// the time as it was at the last look, so the kernel must report it.
  private static let tick = 10

  /// Watches a file for some events, and for no others any more.
  private static func arm(_ events: Int32, _ path: String, _ mask: Int32) -> Bool {
    inotify_add_watch(events, path, UInt32(mask)) >= 0
  }

  /// The delays of repeated checks, in milliseconds: the kernel reports a close before it releases the locks.
  private static let delays = [1, 2, 5, 10, 20, 50, 100][...]

  private static func look(
    _ hasDied: @escaping @Sendable () -> Bool, _ change: @escaping @Sendable () -> Void,
    _ thread: DispatchQueue, _ delays: ArraySlice<Int>
  ) {
    if hasDied() { return change() }
    guard let delay = delays.first else { return }
    thread.asyncAfter(deadline: .now() + .milliseconds(delay)) {
      look(hasDied, change, thread, delays.dropFirst())
    }
  }

  /// Reads all events.
  private static func drain(_ events: Int32) -> (changed: Bool, closed: Bool) {
    var (changed, closed) = (false, false)
    withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
      while case let count = read(events, buffer.baseAddress, buffer.count), count > 0 {
        var offset = 0
        // "Each successful read(2) returns a buffer containing one or more … inotify_event structures": inotify(7).
        while offset + MemoryLayout<inotify_event>.size <= count {
          let event = buffer.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
          if event.mask & UInt32(IN_CLOSE_WRITE) != 0 { closed = true } else { changed = true }
          offset += MemoryLayout<inotify_event>.size + Int(event.len)
        }
      }
    }
    return (changed, closed)
  }
  #elseif canImport(Darwin)
  private func source(
    _ change: @escaping @Sendable () -> Void, _ hasDied: @escaping @Sendable () -> Bool,
    _: @escaping @Sendable () -> Int
  ) -> any DispatchSourceProtocol {
    let file = polls ? -1 : open(path, O_EVTONLY | O_CLOEXEC)
    guard file >= 0 else { return pollingSource(change, hasDied) }
    let source = DispatchSource.makeFileSystemObjectSource(
      fileDescriptor: file, eventMask: [.write, .extend], queue: thread)
    source.setEventHandler(handler: change)
    source.setCancelHandler { close(file) }
    return source
  }
  #endif

  private func pollingSource(
    _ change: @escaping @Sendable () -> Void, _ hasDied: @escaping @Sendable () -> Bool
  ) -> any DispatchSourceProtocol {
    let source = DispatchSource.makeTimerSource(queue: thread)
    source.schedule(deadline: .now(), repeating: .milliseconds(20))
    let polled = Locked(PolledFile(Self.stamp(path)))
    source.setEventHandler { [path] in
      if polled.withLock({ $0.changes(to: Self.stamp(path)) }) || hasDied() { change() }
    }
    return source
  }

  /// The last state of a file that polling saw.
  struct PolledFile {
    private var stamp: [Int]
    /// Whether the last look saw a change.
    private var isFresh = false

    init(_ stamp: [Int]) { self.stamp = stamp }

    /// Whether to report a change. Each one is reported by two looks: a write in the same tick of the kernel's clock, after the
    /// first look, leaves the time as it is.
    mutating func changes(to new: [Int]) -> Bool {
      let hasChanged = stamp != new
      defer { (stamp, isFresh) = (new, hasChanged) }
      return hasChanged || isFresh
    }
  }

  /// Returns the file's size and modification time.
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
