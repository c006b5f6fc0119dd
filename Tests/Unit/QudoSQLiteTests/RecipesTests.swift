import Foundation
import Testing

/// "Recipes" shows lines of the examples, which `Tests/Examples/run` builds and runs.
@Suite struct RecipesTests {
  @Test("each Swift block of the article is in one example, line after line") func swiftIsFromTheExamples()
    throws
  {
    let folder = URL(fileURLWithPath: ArticleText.place("Tests/Examples/Sources"))
    let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter {
      $0.hasSuffix(".swift")
    }
    let examples = try files.map { file in
      lines(try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)).joined(
        separator: "\n")
    }
    let article = try ArticleText.read("Sources/Qudo/Qudo.docc/Recipes.md")
    let parts = article.components(separatedBy: "```swift\n").dropFirst()
    let blocks = parts.compactMap { $0.components(separatedBy: "\n```").first }
    #expect(blocks.count >= 10)
    for block in blocks {
      let text = lines(block).joined(separator: "\n")
      #expect(examples.contains { $0.contains(text) }, "no example has this block: \(block)")
    }
  }

  /// Without indentation and empty lines.
  private func lines(_ text: String) -> [String] {
    text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
  }
}
