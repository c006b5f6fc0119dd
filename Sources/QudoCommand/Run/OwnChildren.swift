internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The child processes that this process started and waits for.
final class OwnChildren: Sendable {
  static let only = OwnChildren()
  private let numbers = Locked<Set<pid_t>>([])

  func insert(_ number: pid_t) { numbers.withLock { _ = $0.insert(number) } }
  func remove(_ number: pid_t) { numbers.withLock { _ = $0.remove(number) } }

  /// True if this process adopts orphans, as process 1 of a container does.
  static var mustReap: Bool { getpid() == 1 }

  /// Reaps all children that this process did not start.
  ///
  /// Holds the gate, so that every started child is known.
  func reapOthers() async {
    let pass = await SpawnGate.only.enter()
    defer { pass.leave() }
    for _ in 0..<1000 {
      let ended = Self.someEnded()
      guard ended > 0 else { return }
      if numbers.withLock({ $0.contains(ended) }) {
        // A known child heads the kernel's list until the thread that waits for it has reaped it.
        try? await Task.sleep(for: .milliseconds(2))
      } else {
        waitpid(ended, nil, WNOHANG)
      }
    }
  }

  /// - Returns: a child that has ended, without reaping it; 0 if there is none.
  private static func someEnded() -> pid_t {
    var info = siginfo_t()
    // "If WNOHANG was specified in options and there were no children in a waitable state, then waitid()
    // returns 0 immediately and the state of the siginfo_t structure ... is set to zero": waitid(2).
    guard waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 else { return 0 }
    #if canImport(Darwin)
    return info.si_pid
    #else
    return info._sifields._sigchld.si_pid
    #endif
  }
}
