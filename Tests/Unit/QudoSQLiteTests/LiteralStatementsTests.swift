@testable import QudoSQLite
import Testing

@Suite("Statements by the addresses of literals") struct LiteralStatementsTests {
  /// Where literals might be.
  private let literals = (1...600).compactMap { UnsafePointer<UInt8>(bitPattern: 0x40_0000 + $0 * 40) }

  /// - Returns: A statement that is never run.
  private func statement(_ number: Int) throws -> Statement {
    let handle = try #require(OpaquePointer(bitPattern: (number + 1) * 16))
    return Statement(handle: handle, database: handle)
  }

  @Test("finds the statement of each literal or none, however many there are", arguments: [false, true])
  func finds(isSmall: Bool) throws {
    let table = LiteralStatements(isSmall: isSmall)
    var most = 0
    for (number, literal) in literals.enumerated() {
      table.insert(try statement(number), for: literal)
      #expect(table.statement(literal)?.handle == (try statement(number).handle))
      let found = literals.map { table.statement($0)?.handle }
      let right = try found.indices.count { try found[$0] == statement($0).handle }
      #expect(right == found.count { $0 != nil })
      // The statements of an enqueue all have a place, and those of a worker.
      if number < (isSmall ? 8 : 64) { #expect(right == number + 1) }
      most = max(most, right)
    }
    #expect(isSmall ? (8...16).contains(most) : (64...256).contains(most))
  }

  @Test("finds nothing after all were removed") func removes() throws {
    let table = LiteralStatements(isSmall: false)
    for (number, literal) in literals.enumerated() { table.insert(try statement(number), for: literal) }
    table.removeAll()
    #expect(literals.allSatisfy { table.statement($0) == nil })
  }
}
