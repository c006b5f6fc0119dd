import Foundation
import Testing

/// "From Perl Qudo" names a test in the last cell of each row.
@Suite struct PerlArticleTests {
  /// The rows' cells, without the heads of the tables.
  private func rows() throws -> [[String]] {
    let lines = try ArticleText.read("Sources/Qudo/Qudo.docc/FromPerlQudo.md").split(separator: "\n").filter {
      $0.hasPrefix("| ")
    }
    return lines.map {
      $0.dropFirst().dropLast().components(separatedBy: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    .filter { $0.count == 3 && $0[2] != "test" }
  }

  @Test func theTestsThatTheTablesNameAreThere() throws {
    let rows = try rows()
    #expect(rows.count > 40)
    #expect(rows.filter { !($0[2].hasPrefix("`") && $0[2].hasSuffix("`")) } == [])
    #expect(try ArticleText.absent(rows.map { $0[2].trimmingCharacters(in: ["`"]) }) == [])
  }
}
