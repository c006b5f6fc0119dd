import Foundation
import Testing

/// "Codecs" is shown by a test of the target that has all codecs, with the traits `Compression` and `Encryption`.
@Suite struct CodecArticleTests {
  let article = "Sources/Qudo/Qudo.docc/PayloadCodecs.md"
  let test = ArticleText.place("Tests/Unit/QudoEncryptionTests/CodecArticleTests.swift")

  @Test func theSwiftIsTheArticles() throws {
    #expect(try ArticleText.untested(article, by: test, but: "SQLiteDriver(path:") == [])
  }

  @Test func theMessagesAndKeyRingsAreTheArticles() throws {
    let tested = try String(contentsOfFile: test, encoding: .utf8)
    let text = try ArticleText.read(article)
    let messages = text.split(separator: "\n").filter { $0.hasPrefix("the payload is not ") }
    let rings = text.split(separator: "`").filter { $0.hasPrefix("KeyRing(") }
    #expect(messages.count == 3 && rings.count == 3)
    #expect((messages + rings).filter { !tested.contains($0) } == [])
  }
}
