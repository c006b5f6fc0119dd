import Foundation
import Testing

/// "Testing your jobs" is shown by a test of the target that tests `QudoTesting`.
@Suite struct TestingArticleTests {
  @Test func theSwiftIsTheArticles() throws {
    let test = URL(fileURLWithPath: #filePath).appendingPathComponent(
      "../../QudoTestingTests/ExampleTests.swift"
    ).standardized.path
    #expect(
      try ArticleText.untested(
        "Sources/QudoTesting/QudoTesting.docc/TestingYourJobs.md", by: test, but: "SQLiteDriver(path:") == [])
  }
}
