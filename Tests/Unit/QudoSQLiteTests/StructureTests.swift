import Foundation
import QudoTesting
import TestSupport
import Testing

@testable import QudoSQLite

/// Rules of the driver's source that the compiler cannot check.
@Suite struct StructureTests {
  @Test("schema.sql shows the tables that the migrations make") func currentSchema() throws {
    let file = try TemporaryFile()
    _ = try file.open()
    let made = try file.rows(
      "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY name")
    let shown = try ArticleText.read("Sources/QudoSQLite/Schema/schema.sql")
      .replacing(#/--.*/#, with: "").split(separator: ";").map(Self.normalized).filter { !$0.isEmpty }
    #expect(made.map(Self.normalized).sorted() == shown.sorted())
  }

  @Test("the article has the schema's version, its tables, and what each migration changed")
  func schemaArticle() throws {
    let article = try ArticleText.read("Sources/QudoSQLite/QudoSQLite.docc/Schema.md")
    #expect(article.contains("The schema version is \(Schema.version):"))
    for version in 2...Schema.version { #expect(article.contains("\n| \(version) | "), "version \(version)") }
    let sql = try ArticleText.read("Sources/QudoSQLite/Schema/schema.sql")
    let tables = sql.matches(of: #/CREATE TABLE (\w+)/#).map { String($0.output.1) }
    #expect(tables.count > 20)
    for table in tables { #expect(article.contains("`\(table)`"), "\(table)") }
  }

  /// Returns SQL with the least white space.
  private static func normalized(_ sql: some StringProtocol) -> String {
    String(sql).replacing(#/\s+/#, with: " ").replacing(#/ ?([(),]) ?/#) { String($0.output.1) }
      .trimmingCharacters(in: .whitespaces)
  }

  @Test("each table's SQL is in its gateway") func gateways() throws {
    let folder = ArticleText.place("Sources/QudoSQLite")
    // The script is SQL for an application to run.
    let allowed = ["Tables/", "Schema/", "Application/EnqueueScript.swift"]
    for path in try FileManager.default.subpathsOfDirectory(atPath: folder)
    where path.hasSuffix(".swift") && !allowed.contains(where: path.hasPrefix) {
      let source = try String(contentsOfFile: "\(folder)/\(path)", encoding: .utf8)
      let code = source.split(separator: "\n").filter { !$0.contains("//") }.joined(separator: "\n")
      #expect(code.firstMatch(of: #/(FROM|INTO|UPDATE|JOIN) qudo_/#) == nil, "\(path) has SQL of a table")
    }
  }
}
