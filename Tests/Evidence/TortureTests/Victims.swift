import Foundation
import ProcessSupport
import QudoTesting
import TestSupport
import Testing

/// Processes of `TortureProcess` that use one file, are killed at random, and are started again.
final class Victims {
  struct Kill {
    let role: String
    let log: String
    /// A moment before, by `DispatchTime.uptimeNanoseconds`, as the processes write their times.
    let time: UInt64
    /// Whether others went on: false for those that are killed at the end.
    let isFollowed: Bool
  }

  private struct Victim {
    let role: String
    let log: String
    let process: ChildProcess
  }

  let file: TemporaryFile
  private(set) var kills: [Kill] = []
  private var victims: [Victim] = []
  private var random: Seeded
  private var started = 0

  init(seed: UInt64) throws {
    random = Seeded(seed: seed)
    file = try TemporaryFile()
  }

  deinit {
    for victim in victims where victim.process.isRunning { victim.process.kill(SIGKILL) }
  }

  /// Starts a process for each role.
  func start(_ roles: [String]) throws { for role in roles { victims.append(try start(role)) } }

  /// After a random time, kills a process and starts another one in its role.
  func killOne() async throws {
    try await Task.sleep(for: .milliseconds(Int.random(in: 20...300, using: &random)))
    let index = Int.random(in: victims.indices, using: &random)
    let role = victims[index].role
    try #require(victims[index].process.isRunning, "a process ended by itself: \(role)")
    kill(victims[index], isFollowed: true)
    victims[index] = try start(role)
  }

  func killAll() {
    for victim in victims { kill(victim, isFollowed: false) }
    victims = []
  }

  /// Runs a process to its end.
  func run(_ role: String) throws {
    #expect(try start(role).process.end(within: 300) == 0, "\(role)")
  }

  private func start(_ role: String) throws -> Victim {
    started += 1
    let log = "\(started).log"
    let process = try ChildProcess(
      try built("TortureProcess").path,
      [role, file.path, file.folder.appendingPathComponent(log).path, "\(random.next() >> 1)"])
    return Victim(role: role, log: log, process: process)
  }

  private func kill(_ victim: Victim, isFollowed: Bool) {
    kills.append(
      Kill(
        role: victim.role, log: victim.log, time: DispatchTime.now().uptimeNanoseconds, isFollowed: isFollowed
      ))
    victim.process.kill(SIGKILL)
    _ = victim.process.end(within: 60)
  }

  /// What the processes have written, in words.
  func logs() throws -> [(log: String, lines: [[String]])] {
    let files = try FileManager.default.contentsOfDirectory(at: file.folder, includingPropertiesForKeys: nil)
    return try files.filter { $0.pathExtension == "log" }.map { file in
      // A line that the kill cut off has no end.
      let lines = try String(contentsOf: file, encoding: .utf8)
        .split(separator: "\n", omittingEmptySubsequences: false).dropLast()
      return (file.lastPathComponent, lines.map { $0.split(separator: " ").map(String.init) })
    }
  }
}
