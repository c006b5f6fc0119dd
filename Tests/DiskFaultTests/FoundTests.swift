import FaultyDisk
import QudoSQLite
import Testing

/// What this harness has found, each by the shortest way to it.
@Suite struct FoundTests {
  /// Where SQLite pads the WAL, it may run out of room after the whole of the commit. It was told as `diskFull`.
  @Test func aCommitWhosePaddingFindsNoRoomIsInDoubt() async throws {
    let scenario = Scenario(name: "found", steps: [.enqueue(["a"])])
    var at = 1
    while try await Trial(scenario: scenario, durability: .full, fault: Fault(.full, .write, at: at, lasts: true), survival: .torn).run().struck {
      at += 1
    }
    #expect(at > 1)
  }
}
