import Foundation
import Qudo
import QudoSQLite
import Testing

@Suite struct ReadmeTests {
  /// The README's Swift, line for line, but for the path.
  struct SendMail: Job {
    static let kind: Kind = "mail.send"
    var to: String

    func perform(_ context: JobContext) async throws {
      print("to", to)
    }
  }

  @Test func theSnippetWorks() async throws {
    let file = try TemporaryFile()
    let queue = Queue(try SQLiteDriver(path: file.path))
    try await queue.enqueue(SendMail(to: "ada@example.org"))

    let worker = try Worker(queue, [Ability(SendMail.self)], concurrency: 4)
    try await worker.workUntilEmpty()
    #expect(try await queue.databases.only?.count() == [])
    await queue.close()
  }

  @Test func theSnippetIsTheReadmes() throws {
    let here = URL(fileURLWithPath: #filePath)
    let readme = try String(contentsOf: here.appendingPathComponent("../../../README.md").standardized, encoding: .utf8)
    let code = try #require(readme.split(separator: "```swift\n").dropFirst().first?.split(separator: "\n```").first)
    let tested = try String(contentsOf: here, encoding: .utf8).split(separator: "\n").map { $0.trimming(while: \.isWhitespace) }
    for line in code.split(separator: "\n") where !line.contains("path:") {
      #expect(tested.contains(line.trimming(while: \.isWhitespace)), "not tested: \(line)")
    }
  }
}

extension Substring {
  func trimming(while isBlank: (Character) -> Bool) -> Substring { drop(while: isBlank) }
}
