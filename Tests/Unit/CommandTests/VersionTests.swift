import Foundation
import Qudo
import Testing

@Suite(.waitsForProcesses) struct VersionTests {
  /// "Unreleased", or the version that was released last.
  private func newestHeading() throws -> String {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "../../../CHANGELOG.md")
    let line = try #require(
      try String(contentsOf: file, encoding: .utf8).split(separator: "\n").first { $0.hasPrefix("## ") })
    return String(line.dropFirst(3))
  }

  @Test func theCommandSaysItsVersionAndSQLites() throws {
    let result = try CommandWorkspace().qudo("--version")
    #expect(result.status == 0 && result.errors == "")
    let parts = try #require(result.output.wholeMatch(of: /qudo ([^ ,]+), SQLite 3\.\d+\.\d+\n/))
    #expect(parts.1 == QudoRelease.version)
  }

  @Test func theVersionIsTheChangelogs() throws {
    let heading = try newestHeading()
    if heading == "Unreleased" {
      #expect(QudoRelease.version.hasSuffix("-dev"))
    } else {
      #expect(QudoRelease.version == heading.split(separator: " ").first.map(String.init))
    }
  }
}
