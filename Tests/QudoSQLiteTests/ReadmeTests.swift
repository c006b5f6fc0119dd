import Foundation
import Qudo
import QudoSQLite
import Testing

@Suite struct ReadmeTests {
  /// The README's Swift, line for line, but for the path.
  @Test func theSnippetWorks() async throws {
    let file = try TemporaryFile()
    let jobs = try SQLiteDriver(path: file.path)
    _ = try await jobs.insert([NewJob("mail.send", payload: Payload(Array("ada@example.org".utf8)))])

    let worker = try Worker(jobs, [
      Ability("mail.send") { job in
        print(job.id, String(decoding: job.payload.bytes, as: UTF8.self))
      }
    ], concurrency: 4)
    try await worker.workUntilEmpty()
    #expect(try await jobs.count().isEmpty)
    await jobs.close()
  }

  @Test func theSnippetIsTheReadmes() throws {
    let here = URL(fileURLWithPath: #filePath)
    let readme = try String(contentsOf: here.appendingPathComponent("../../../README.md").standardized, encoding: .utf8)
    let code = try #require(readme.split(separator: "```swift\n").dropFirst().first?.split(separator: "\n```").first)
    let tested = try String(contentsOf: here, encoding: .utf8)
    for line in code.split(separator: "\n") where !line.hasPrefix("import") && !line.contains("path:") {
      #expect(tested.contains("    \(line)\n"), "not tested: \(line)")
    }
  }
}
