import Foundation

/// The Swift of an article of the documentation, to be held against the test that compiles and runs it.
enum ArticleText {
  /// Lines of the article's Swift that do not occur in the test.
  ///
  /// - Parameters:
  ///   - article: from the package's folder.
  ///   - tests: the paths of the tests' sources.
  ///   - but: marks lines that cannot be the same, for they name a file.
  static func untested(_ article: String, by tests: String..., but: String) throws -> [Substring] {
    let tested = Set(
      try tests.flatMap {
        try String(contentsOfFile: $0, encoding: .utf8).split(separator: "\n").map(trimmed)
      })
    let blocks = try read(article).components(separatedBy: "```swift\n").dropFirst().compactMap {
      $0.components(separatedBy: "\n```").first
    }
    // A manifest is run by `.ci/run`.
    let lines = blocks.filter { !$0.hasPrefix("// swift-tools-version") }.flatMap {
      $0.split(separator: "\n")
    }
    return lines.map(trimmed).filter { !$0.contains(but) && !tested.contains($0) }
  }

  private static let package = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized

  /// - Parameter path: from the package's folder.
  static func place(_ path: String) -> String { package.appendingPathComponent(path).path }

  /// - Parameter path: from the package's folder.
  static func read(_ path: String) throws -> String {
    try String(contentsOf: package.appendingPathComponent(path), encoding: .utf8)
  }

  /// All Swift below a folder, but for what is built or checked out there.
  static func readAll(_ folder: String) throws -> String {
    let place = package.appendingPathComponent(folder)
    let files = try FileManager.default.subpathsOfDirectory(atPath: place.path).filter {
      $0.hasSuffix(".swift") && !$0.contains("/.build")
    }
    return try files.map { try String(contentsOf: place.appendingPathComponent($0), encoding: .utf8) }
      .joined()
  }

  /// Those of the names that no test and no case of the conformance suite has.
  static func absent(_ tests: [String]) throws -> [String] {
    let there = try ["Tests", "Sources/QudoTesting"].map(readAll).joined()
    return tests.filter { name in
      ["\"\(name)\"", "\"\(name)\\(", "func \(name)("].allSatisfy { !there.contains($0) }
    }
  }

  private static func trimmed(_ line: Substring) -> Substring { line.drop(while: \.isWhitespace) }
}
