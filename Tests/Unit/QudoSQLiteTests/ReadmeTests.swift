import Foundation
import Qudo
import QudoSQLite
import TestSupport
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

    let worker = try Worker(queue, handlers: [SendMail.self], concurrency: 4)
    try await worker.workUntilEmpty()
    #expect(try await queue.databases.only?.count() == [])
    await queue.close()
  }

  @Test func theSnippetIsTheReadmes() throws {
    let here = URL(fileURLWithPath: #filePath)
    let readme = try String(
      contentsOf: here.appendingPathComponent("../../../../README.md").standardized, encoding: .utf8)
    let blocks = readme.split(separator: "```swift\n").dropFirst().compactMap {
      $0.split(separator: "\n```").first
    }
    let code = try #require(blocks.first { $0.contains("struct SendMail") })
    let tested = try String(contentsOf: here, encoding: .utf8).split(separator: "\n").map {
      $0.trimming(while: \.isWhitespace)
    }
    for line in code.split(separator: "\n") where !line.contains("path:") {
      #expect(tested.contains(line.trimming(while: \.isWhitespace)), "not tested: \(line)")
    }
    // The lines of the article on transactions are run by the tests with GRDB.
    let article = try ArticleText.read("Sources/QudoSQLite/QudoSQLite.docc/YourTransaction.md")
    let transaction = try #require(blocks.first { $0.contains("pool.write") })
    for line in transaction.split(separator: "\n") {
      #expect(article.contains(String(line)), "not tested: \(line)")
    }
  }

  @Test("each relative link of the README leads to a file") func links() throws {
    let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized
    let readme = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
    var count = 0
    for part in readme.components(separatedBy: "](").dropFirst() {
      let link = part.prefix { $0 != ")" }
      guard !link.hasPrefix("https://") else { continue }
      count += 1
      #expect(
        FileManager.default.fileExists(atPath: root.appendingPathComponent(String(link)).path),
        "a dead link: \(link)")
    }
    #expect(count > 20)
  }
}

extension Substring {
  func trimming(while isBlank: (Character) -> Bool) -> Substring { drop(while: isBlank) }
}
