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

/// The other end of ``CommandGuard``.
struct GuardProcess: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "guard-process", abstract: "Ends commands whose worker is gone; run by work.",
    shouldDisplay: false)

  @Argument var name: String

  func run() throws {
    for number in [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP] { signal(number, SIG_IGN) }
    // No file system is kept busy.
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

  /// Kills what is left of the runs, until nothing is, for two seconds at most.
  private func killAll(_ groups: [Int: pid_t]) {
    // Of a run that was just being started the group is not known; it becomes what it is by its exec, some time after the worker's end.
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

  /// The processes that have a run's name in their environment: also those that made sessions of their own. Where there is no
  /// /proc, none.
  private func processes(of runs: some Collection<Int>) -> [pid_t] {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc") else { return [] }
    let marks = Set(runs.map { "QUDO_RUN=\(name).\($0)" })
    return names.compactMap { pid_t($0) }.filter { process in
      guard process != getpid(), let bytes = FileManager.default.contents(atPath: "/proc/\(process)/environ")
      else { return false }
      return bytes.split(separator: 0).contains { marks.contains(String(decoding: $0, as: UTF8.self)) }
    }
  }
}
