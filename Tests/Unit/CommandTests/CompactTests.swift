import Foundation
import Testing

/// `qudo compact`.
@Suite(.waitsForProcesses) struct CompactTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  @Test func theRoomOfJobsThatAreGoneIsGivenBack() throws {
    let lines =
      (0..<500).map { "\($0)" + String(repeating: "x", count: 1_000) }.joined(separator: "\n") + "\n"
    _ = try place.qudo(["enqueue", "k", "--lines", "--database", "q.db"], input: Data(lines.utf8))
    _ = try place.qudo(
      ["work", "k=true", "--until-empty", "--concurrency", "4", "--database", "q.db"], input: Data())
    let result = try place.qudo(["compact", "--json", "--database", "q.db"], input: Data())
    let sizes = try #require(try result.objects().first)
    let (before, after) = (try #require(sizes["before"] as? Int), try #require(sizes["after"] as? Int))
    #expect(sizes["database"] as? String == "q" && before > 400_000 && after < 100_000)
    let size = try FileManager.default.attributesOfItem(atPath: place.path("q.db"))[.size] as? Int
    #expect(size == after)
    #expect(try place.qudo(["compact", "--database", "q.db"], input: Data()).output == "\(after) \(after)\n")
  }

  @Test func aMissingFileIsNotMade() throws {
    let result = try place.qudo(["compact", "--database", "none.db"], input: Data())
    #expect(result.status == 75 && !place.exists("none.db"))
  }
}
