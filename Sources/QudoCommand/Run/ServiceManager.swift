internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The service manager that started the process, such as systemd. It gets what sd_notify(3) sends, without that library:
/// datagrams of lines `NAME=value` to the socket in `NOTIFY_SOCKET`.
final class ServiceManager: Sendable {
  private let file: Int32
  private let address: [UInt8]
  /// The longest time between two reports that the process works; nil if the manager does not watch it.
  let watchdog: Duration?
  private let isStopping = Locked(false)

  /// Returns the manager, and removes the variables, so that no command that a job runs speaks in this process's name.
  ///
  /// Call it before other threads use the environment.
  static func take() -> ServiceManager? {
    func take(_ name: String) -> String? {
      defer { unsetenv(name) }
      return getenv(name).map { String(cString: $0) }
    }
    let (socket, period, process) = (take("NOTIFY_SOCKET"), take("WATCHDOG_USEC"), take("WATCHDOG_PID"))
    guard let socket, !socket.isEmpty else { return nil }
    let isWatched = process == nil || process == "\(getpid())"
    return ServiceManager(
      socket,
      watchdog: isWatched ? period.flatMap { Int64($0) }.flatMap { $0 > 0 ? .microseconds($0) : nil } : nil)
  }

  private init?(_ socketName: String, watchdog: Duration?) {
    // "The string should start with "/" or "@". The latter case is used for an abstract socket address": sd_notify(3).
    var name = Array(socketName.utf8)
    switch name.first {
    case UInt8(ascii: "/"): name.append(0)
    case UInt8(ascii: "@"): name[0] = 0
    default:
      printError(
        "NOTIFY_SOCKET is neither a path nor an abstract socket: the service manager is not notified")
      return nil
    }
    var head = sockaddr_un()
    head.sun_family = sa_family_t(AF_UNIX)
    let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
    guard name.count <= MemoryLayout.size(ofValue: head.sun_path) else {
      printError("the path in NOTIFY_SOCKET is too long: the service manager is not notified")
      return nil
    }
    address = withUnsafeBytes(of: &head) { Array($0.prefix(offset)) } + name
    #if canImport(Glibc)
    let type = Int32(SOCK_DGRAM.rawValue)
    #else
    let type = SOCK_DGRAM
    #endif
    file = socket(AF_UNIX, type, 0)
    guard file >= 0 else {
      printError("cannot notify the service manager: \(String(cString: strerror(errno)))")
      return nil
    }
    _ = fcntl(file, F_SETFD, FD_CLOEXEC)
    self.watchdog = watchdog
  }

  deinit { close(file) }

  /// Sends lines in one datagram.
  func notify(_ lines: String...) {
    // A manager that does not read delays the worker by no more than 2 s.
    send(lines, attempts: 20)
  }

  private func send(_ lines: [String], attempts: Int) {
    let bytes = Array(lines.joined(separator: "\n").utf8)
    let error = address.withUnsafeBytes { address -> Int32 in
      // unsafe below: the bytes are a `sockaddr_un`
      guard let place = address.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return EINVAL }
      for attempt in 1...attempts {
        if sendto(file, bytes, bytes.count, Int32(MSG_DONTWAIT), place, socklen_t(address.count)) >= 0 {
          return 0
        }
        if errno == EAGAIN, attempt < attempts {
          usleep(100_000)
        } else if errno != EAGAIN, errno != EINTR {
          return errno
        }
      }
      return EAGAIN
    }
    if error != 0 { printError("cannot notify the service manager: \(String(cString: strerror(error)))") }
  }

  /// Reports once that the process is about to end.
  func stopping(_ status: String) {
    let isFirst = isStopping.withLock { isStopping in
      defer { isStopping = true }
      return !isStopping
    }
    if isFirst { notify("STOPPING=1", "STATUS=\(status)") }
  }

  /// Reports that the worker works, four times in each period of the watchdog, as long as it answers, until the task is
  /// cancelled.
  func watch(_ pulse: WorkerPulse) async {
    guard let watchdog else { return }
    while !Task.isCancelled {
      await pulse.answered()
      guard !Task.isCancelled else { return }
      // One attempt, which blocks no thread: the next one comes soon.
      send(["WATCHDOG=1"], attempts: 1)
      do { try await Task.sleep(for: watchdog / 4) } catch { return }  // Cancelled.
    }
  }
}
