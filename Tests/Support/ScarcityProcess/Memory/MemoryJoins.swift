import CScarcity
import CSQLite
import Foundation
import Qudo
import QudoSQLite

/// Memory is scarce while jobs are enqueued in the application's own transaction.
struct MemoryJoins {
  let file: RawFile
  private(set) var figures = Rounds.Figures()

  init(in folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    file = RawFile(path: folder + "/jobs.db")
  }

  mutating func run() async throws {
    for isInner in [true, false] {
      try await MemoryRole.each(about: 450) { try await round(isInner: isInner, $0) }
    }
  }

  private mutating func round(isInner: Bool, _ scarcity: Scarcity) async throws -> Int {
    file.remove()
    let live = scarcity_live()
    let driver = try Rounds.open(file)
    let application = try Application(file.path)
    try application.execute("CREATE TABLE mine(x)")
    if isInner { try application.execute("BEGIN; INSERT INTO mine VALUES(1)") }
    let jobs =
      ["one", "two", "three"].map { NewJob("a", payload: Payload($0)) } + [
        NewJob("b", idempotencyKey: IdempotencyKey("k"))
      ]
    scarcity.begin(file)
    let result = Result { try driver.insert(jobs, in: application.handle) }
    let refused = scarcity.end()
    let isOpen = sqlite3_get_autocommit(application.handle) == 0
    if isOpen { try application.execute("COMMIT") }
    let mine = try application.count("mine")
    let there = try await driver.jobs(matching: JobQuery()).count
    let what =
      "enqueueing \(isInner ? "in a transaction" : "alone") on the application's connection, \(scarcity)"
    switch result {
    case .success:
      guard there == jobs.count, mine == (isInner ? 1 : 0), isOpen == isInner else {
        throw Broken("\(what): \(there) jobs are there, and \(mine) rows")
      }
    case .failure(let error as QudoError) where error.code == .outcomeUnknown && !isInner:
      figures.unknown += 1
      guard there == 0 || there == jobs.count else {
        throw Broken("\(what): it threw \(error), and \(there) jobs are there")
      }
    case .failure(let error):
      figures.threw += 1
      guard (error as? QudoError)?.code == .outOfMemory else { throw Broken("\(what): it threw \(error)") }
      // SQLite, or Qudo where nothing less helps, may have rolled back all of it: then the application's row is gone too.
      guard there == 0, mine == (isInner && isOpen ? 1 : 0), isInner || !isOpen else {
        throw Broken(
          "\(what): it threw \(error); \(there) jobs are there, and \(mine) rows, the transaction is \(isOpen ? "open" : "gone")"
        )
      }
    }
    application.close()
    await driver.close()
    figures.rounds += 1
    figures.refused += refused
    guard scarcity_live() == live else {
      throw Broken("\(what): \(scarcity_live() - live) blocks of memory were not given back")
    }
    return refused
  }
}

/// The application's own connection.
final class Application {
  private(set) var handle: OpaquePointer?

  init(_ path: String) throws {
    guard sqlite3_open(path, &handle) == SQLITE_OK else {
      throw Broken("the application cannot open \(path)")
    }
    sqlite3_busy_timeout(handle, 5000)
  }

  func execute(_ sql: String) throws {
    guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else {
      throw Broken("\(String(cString: sqlite3_errmsg(handle))) in \(sql)")
    }
  }

  func count(_ table: String) throws -> Int {
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    guard sqlite3_prepare_v2(handle, "SELECT count(*) FROM \(table)", -1, &statement, nil) == SQLITE_OK,
      sqlite3_step(statement) == SQLITE_ROW
    else {
      throw Broken("\(String(cString: sqlite3_errmsg(handle)))")
    }
    return Int(sqlite3_column_int64(statement, 0))
  }

  func close() {
    sqlite3_close(handle)
    handle = nil
  }
}
