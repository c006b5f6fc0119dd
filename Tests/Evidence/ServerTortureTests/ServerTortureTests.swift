#if MySQL
import Evidence
import Foundation
import MariaDBServer
import Qudo
import QudoTesting
import Testing

/// Several processes enqueue, control and work on two servers, behind proxies. By a seed statements, sessions, servers and processes are killed, servers are
/// stopped or turn read-only, and the network delays, holds, loses and cuts.
///
/// After each fault the tables are whole, and no job waits for long. At the end every acknowledged job has ended once, and nothing is
/// left. No job was claimed after its cancel was acknowledged or after its expiry, none of a kind while it was paused, and none that
/// was changed ran as it was before.
@Suite(.enabled(if: Evidence.isAsked)) struct ServerTortureTests {
  /// What an enqueue may take, and what a machine may that has other things to do.
  private static let longestEnqueue = 3.0 + 1.5

  @Test("Nothing is torn, lost or left waiting, whatever is stopped")
  func stoppedServersLoseNothing() async throws {
    let seed = Evidence.firstSeed
    let seconds = max(30, Evidence.seconds)
    print("torture of servers: seed \(seed), \(seconds) s")
    let torture = try await ServerTorture(seed: seed)
    let (report, wrong) = try await torture.run(for: .seconds(seconds))
    print(report)
    Evidence.report(
      "servers",
      """
      seed \(seed), \(report.records.count) faults in \(seconds) s, \(report.acknowledged) jobs acknowledged, \(wrong.count) wrong, \
      longest wait \(Report.milliseconds(report.waits.max() ?? 0)) ms, longest enqueue \(Report.milliseconds(report.longestEnqueue)) ms
      """)
    for line in wrong { print("wrong: \(line)") }
    #expect(wrong.isEmpty, "seed \(seed)")
    #expect(report.acknowledged > 20, "too little happened to show anything")
    for verb in ["cancelled", "changed", "expires", "paused"] {
      #expect(report.controls[verb, default: 0] > 0, "too little happened to show anything: \(verb)")
    }
    #expect(report.longestEnqueue < Self.longestEnqueue, "seed \(seed)")
  }
}
#endif
