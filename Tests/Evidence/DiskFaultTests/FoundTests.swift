import FaultyDisk
import QudoSQLite
import Testing

/// What this harness has found, each by the shortest way to it.
@Suite struct FoundTests {
  /// The claim's part of the WAL was lost with the sync; what was acknowledged after it lay behind the hole.
  @Test("What is acknowledged after a failed sync is on the disk")
  func acknowledgedAfterAFailedSyncIsStored() async throws {
    let scenario = Scenario(
      name: "found", before: [.enqueue(["a", "b"])], steps: [.claim(1), .enqueue(["c"]), .enqueue(["d"])])
    #expect(
      try await FaultRun(scenario: scenario, durability: .full, fault: Fault(.error, .sync, at: 1)).run()
        .struck)
  }

  /// Where SQLite pads the WAL, it may run out of room after the whole of the commit. It was told as `diskFull`.
  @Test func aCommitWhosePaddingFindsNoRoomIsInDoubt() async throws {
    let scenario = Scenario(name: "found", steps: [.enqueue(["a"])])
    var at = 1
    var trial: FaultRun {
      FaultRun(
        scenario: scenario, durability: .full, fault: Fault(.full, .write, at: at, lasts: true),
        survival: .torn)
    }
    while try await trial.run().struck { at += 1 }
    #expect(at > 1)
  }
}
