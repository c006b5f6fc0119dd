#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import ArgumentParser
internal import Qudo
internal import SystemPackage

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The guard process, which ``CommandGuard`` starts. It kills the running commands if the worker dies.
struct GuardProcess: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "guard-process", abstract: "Ends commands whose worker is gone; run by work.",
    shouldDisplay: false)

  @Argument var name: String

  func run() throws {
    for number in [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP] { signal(number, SIG_IGN) }
    // A working directory would keep its file system from being unmounted.
    _ = chdir("/")
    try Output.line("")
    var groups: [Int: pid_t] = [:]
    var unread: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(STDIN_FILENO, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { break }
      unread += buffer[..<count]
      while let end = unread.firstIndex(of: 10) {
        if let (number, group) = GuardMessage.parse(String(decoding: unread[..<end], as: UTF8.self)) {
          groups[number] = group
        }
        unread.removeSubrange(...end)
      }
    }
    if !groups.isEmpty { killAll(groups) }
  }

  private static let pause: UInt32 = 5000
  private static let rounds = 400

  /// Kills the processes of all runs until none is left, for at most two seconds.
  private func killAll(_ groups: [Int: pid_t]) {
    // If the worker died while it started a command, that command's group is unknown. Its process becomes
    // recognizable only with its exec, some time after the worker's end.
    let settles = groups.values.contains(0) ? Self.rounds / 2 : 0
    for round in 0..<Self.rounds {
      var isFound = false
      for group in groups.values where group > 0 {
        if kill(-group, SIGKILL) == 0 { isFound = true }
      }
      for process in processes(of: groups.keys) {
        if kill(process, SIGKILL) == 0 { isFound = true }
      }
      if !isFound, round >= settles { return }
      usleep(Self.pause)
    }
  }

  /// Returns the processes with a run's name in their environment, including those that created their own
  /// session. Without /proc, returns none.
  private func processes(of runs: some Collection<Int>) -> [pid_t] {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc") else { return [] }
    let marks = Set(runs.map { "QUDO_RUN=\(name).\($0)" })
    let beginning = Array("QUDO_RUN=\(name).".utf8)
    return names.compactMap { pid_t($0) }.filter { process in
      // Few processes have such a variable, and splitting the bytes takes longer.
      guard process != getpid(), let bytes = FileManager.default.contents(atPath: "/proc/\(process)/environ"),
        bytes.withUnsafeBytes({ hasVariable(beginning, in: $0) })
      else { return false }
      return bytes.split(separator: 0).contains { marks.contains(String(decoding: $0, as: UTF8.self)) }
    }
  }

  /// Returns whether an environment, as /proc has it, has a variable that begins like this.
  private func hasVariable(_ beginning: [UInt8], in environment: UnsafeRawBufferPointer) -> Bool {
    guard var place = environment.baseAddress else { return false }
    let end = place + environment.count
    while end - place >= beginning.count {
      if memcmp(place, beginning, beginning.count) == 0 { return true }
      guard let zero = memchr(place, 0, end - place) else { return false }
      place = UnsafeRawPointer(zero) + 1
    }
    return false
  }
}
