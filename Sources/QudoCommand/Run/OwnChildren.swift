internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The processes that this one has started and waits for.
final class OwnChildren: Sendable {
  static let only = OwnChildren()
  private let numbers = Locked<Set<pid_t>>([])

  func insert(_ number: pid_t) { numbers.withLock { _ = $0.insert(number) } }
  func remove(_ number: pid_t) { numbers.withLock { _ = $0.remove(number) } }

  /// Whether children of others become this process's when those end: process 1 of a container.
  static var mustReap: Bool { getpid() == 1 }

  /// Takes notice of the end of all children that nobody waits for.
  ///
  /// Within the gate, so that no child has just been started and is not known yet.
  func reapOthers() async {
    let pass = await SpawnGate.only.enter()
    defer { pass.leave() }
    for _ in 0..<1000 {
      let ended = Self.someEnded()
      guard ended > 0 else { return }
      if numbers.withLock({ $0.contains(ended) }) {
        // It is first in the kernel's list until the thread that waits for it has seen it.
        try? await Task.sleep(for: .milliseconds(2))
      } else {
        waitpid(ended, nil, WNOHANG)
      }
    }
  }

  /// - Returns: a child that has ended, and stays as it is; 0 for none.
  private static func someEnded() -> pid_t {
    var info = siginfo_t()
    // "If WNOHANG was specified in options and there were no children in a waitable state, then waitid() returns 0 immediately and
    // the state of the siginfo_t structure ... is set to zero": waitid(2).
    guard waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 else { return 0 }
    #if canImport(Darwin)
    return info.si_pid
    #else
    return info._sifields._sigchld.si_pid
    #endif
  }
}
