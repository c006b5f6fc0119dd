#if MySQL
import Evidence
import Foundation
import MariaDBServer
import ProcessSupport
import Testing

/// A server is killed with SIGKILL in the middle of `qudo enqueue --lines`, after some lines were acknowledged.
///
/// `QUDO_EVIDENCE_SECONDS` says for how long they go on; at 0 it is a few kills each.
/// `Tests/Evidence/run` runs them, also in CI.
@Suite(
  .waitsForProcesses, .serialized,
  .enabled(if: Evidence.isAsked, "kills servers: set QUDO_EVIDENCE_SECONDS=0, or run Tests/Evidence/run"))
struct ServerKillTests {
  private static let lines = 6000

  /// What a command printed, and what was in its databases afterwards.
  private struct Outcome {
    let status: Int32
    let errors: String
    /// The payloads that the acknowledged ids have; nil for a job that is not there.
    let acknowledged: [String?]
    /// The payloads that are there more than once.
    let doubled: Set<String>

    /// The lines that may be doubled, as the command said.
    var reported: Set<String> { Set(errors.matches(of: /line (\d+) may be doubled/).map { String($0.1) }) }
    var isWhole: Bool { acknowledged == (1...lines).map { "\($0)" } }
  }

  @Test("With two servers each line is acknowledged while one is dead")
  func eachLineIsAcknowledged() async throws {
    let servers = [try await MariaDBServer.start(), try await MariaDBServer.start()]
    var (kills, doubled, reported) = (0, 0, 0)
    for seed in Evidence.seeds(atLeast: 2) {
      let outcome = try await round(servers, seed, deadline: "10s", ["--order", "ordered"]) {
        servers[0].kill()
      } after: {
        try await servers[0].start()
      }
      #expect(outcome.status == 0 && outcome.isWhole, "seed \(seed): \(outcome.errors.suffix(2000))")
      #expect(
        outcome.doubled.isSubset(of: outcome.reported),
        "seed \(seed): \(outcome.doubled.subtracting(outcome.reported).sorted().prefix(5))")
      #expect(
        outcome.errors.contains("because far0 could not be used"),
        "seed \(seed): \(outcome.errors.suffix(2000))")
      kills += 1
      doubled += outcome.doubled.count
      reported += outcome.reported.count
    }
    Evidence.report(
      "kills of one of two servers",
      "\(kills) kills, \(reported) lines reported as perhaps doubled, \(doubled) were")
  }

  @Test("With one server that is killed and started again, each line is there once")
  func eachLineIsThereOnce() async throws {
    let server = try await MariaDBServer.start()
    var kills = 0
    for seed in Evidence.seeds(atLeast: 2) {
      let outcome = try await round([server], seed, deadline: "300s") {
        server.kill()
        try await server.start()
      } after: {
      }
      #expect(outcome.status == 0 && outcome.isWhole, "seed \(seed): \(outcome.errors.suffix(2000))")
      #expect(
        outcome.doubled == [] && outcome.reported == [], "seed \(seed): \(outcome.doubled.sorted().prefix(5))"
      )
      kills += 1
    }
    Evidence.report("kills of the only server", "\(kills) kills, all lines acknowledged, none doubled")
  }

  /// Runs the command, calls `kill` when as many lines were acknowledged as the seed says, and looks at the databases after `after`.
  private func round(
    _ servers: [MariaDBServer], _ seed: UInt64, deadline: String, _ options: [String] = [],
    kill: () async throws -> Void,
    after: () async throws -> Void
  ) async throws -> Outcome {
    let place = try CommandWorkspace()
    var databases: [(server: MariaDBServer, name: String)] = []
    var arguments = ["enqueue", "k", "--lines", "--call-timeout", deadline] + options
    for (index, server) in servers.enumerated() {
      databases.append((server, try await server.makeDatabase()))
      arguments += ["--database", server.url(databases[index].name, options: "name=far\(index)")]
    }
    try Data().write(to: place.folder.appendingPathComponent("errors"))
    let errors = try FileHandle(forUpdating: place.folder.appendingPathComponent("errors"))
    let running = try Running(
      built("qudo"), arguments, in: place.folder, environment: [:], input: Pipe(), output: Pipe(),
      errors: errors)
    defer { running.kill(SIGKILL) }
    var names: [String] = []
    // Not always at the end of a batch. The last lines come after the kill, so that it is not done before.
    let killAt = Int(seed &* 977 % UInt64(Self.lines / 2)) + 1
    let early = killAt + Self.lines / 4
    func write(_ lines: ClosedRange<Int>) throws { try running.write(lines.map { "\($0)\n" }.joined()) }
    // All of them are fewer bytes than a pipe holds.
    try write(1...early)
    while let line = try running.output.line() {
      names.append(servers.count > 1 ? line : "far0/\(line)")
      guard names.count == killAt else { continue }
      // In whatever the next batch is at by then.
      usleep(UInt32(seed &* 7919 % 60) * 1000)
      try await kill()
      try write(early + 1...Self.lines)
      try running.closeInput()
    }
    let status = try running.end()
    try await after()
    var there: [String: String] = [:]
    for (index, database) in databases.enumerated() {
      for row in try await database.server.query(
        "SELECT id, CAST(payload AS CHAR) FROM qudo_job", in: database.name)
      {
        let words = row.split(separator: "\t").map(String.init)
        there["far\(index)/\(words[0])"] = words[1]
      }
    }
    let counts = Dictionary(there.values.map { ($0, 1) }, uniquingKeysWith: +)
    return Outcome(
      status: status, errors: try place.text("errors"), acknowledged: names.map { there[$0] },
      doubled: Set(counts.filter { $0.value > 1 }.keys))
  }
}
#endif
