import Foundation

/// The Swift of an article of the documentation, to be held against the test that compiles and runs it.
enum ArticleText {
  /// Lines of the article's Swift that do not occur in the test.
  ///
  /// - Parameters:
  ///   - article: from the package's folder.
  ///   - test: the source of the test.
  ///   - but: marks lines that cannot be the same, for they name a file.
  static func untested(_ article: String, by test: String, but: String) throws -> [Substring] {
    let package = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardized
    let text = try String(contentsOf: package.appendingPathComponent(article), encoding: .utf8)
    let tested = Set(try String(contentsOfFile: test, encoding: .utf8).split(separator: "\n").map(trimmed))
    let blocks = text.components(separatedBy: "```swift\n").dropFirst().compactMap { $0.components(separatedBy: "\n```").first }
    // A manifest is run by `.ci/run`.
    let lines = blocks.filter { !$0.hasPrefix("// swift-tools-version") }.flatMap { $0.split(separator: "\n") }
    return lines.map(trimmed).filter { !$0.contains(but) && !tested.contains($0) }
  }

  private static func trimmed(_ line: Substring) -> Substring { line.drop(while: \.isWhitespace) }
}
