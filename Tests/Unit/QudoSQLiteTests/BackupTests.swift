import Foundation
import ProcessSupport
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// The recipes of the article on files.
@Suite struct BackupTests {
  let file: TemporaryFile
  let driver: SQLiteDriver
  private var backup: String { file.path + ".backup" }

  init() throws {
    file = try TemporaryFile()
    driver = try file.open()
  }

  /// As `sqlite3 q.db "VACUUM INTO 'backup.db'"`, and the one that makes the copy a queue.
  private func makeBackup() throws {
    try AppConnection(file.path).run("VACUUM INTO '\(backup)'")
    #expect(try AppConnection(backup).rows("PRAGMA journal_mode = WAL") == ["wal"])
  }

  /// Another process: in this one opening and closing the file would lose SQLite's locks.
  private func shell(_ script: String) throws {
    let process = try ChildProcess("/bin/sh", ["-ec", script, "sh", file.folder.path])
    try #require(process.end(within: 60) == 0)
  }

  @Test("VACUUM INTO ends while others write, and gives a queue") func busyFile() async throws {
    let (written, told) = AsyncStream<Int>.makeStream()
    let writers = (0..<4).map { _ in
      Task {
        var count = 0
        while !Task.isCancelled {
          _ = try await driver.insert([job()])
          count += 1
          told.yield(count)
        }
        return count
      }
    }
    for await count in written where count >= 10 { break }
    try makeBackup()
    var count = 0
    for writer in writers {
      writer.cancel()
      count += (try? await writer.value) ?? 0
    }
    let copy = try SQLiteDriver(path: backup)
    let ready = try #require(try await copy.count().first?.ready)
    #expect(ready >= 10)
    #expect(try await driver.count().first.map { $0.ready >= ready } == true)
    #expect(try await copy.claim(demand(3)).jobs.count == 3)
    await copy.close()
    #expect(try AppConnection(backup).rows("PRAGMA integrity_check") == ["ok"])
  }

  @Test("a restored file is a queue, whatever a killed process has left beside the old one") func restores()
    async throws
  {
    _ = try await driver.insert([job("kept")])
    try makeBackup()
    _ = try await driver.insert((0..<500).map { job("later \($0)") })
    // What a process that is killed now leaves.
    try shell("mkdir $1/crashed; cp $1/jobs.db $1/jobs.db-wal $1/jobs.db-shm $1/crashed")
    try shell("cd $1/crashed; rm -f jobs.db-wal jobs.db-shm; cp ../jobs.db.backup jobs.db")
    let restored = try SQLiteDriver(path: file.folder.path + "/crashed/jobs.db")
    #expect(try await restored.claim(demand()).texts == ["kept"])
    #expect(try await restored.insert([job()]) == [.inserted(2)])
    await restored.close()
    #expect(try file.rows("PRAGMA integrity_check") == ["ok"])
    #expect(try AppConnection(file.folder.path + "/crashed/jobs.db").rows("PRAGMA integrity_check") == ["ok"])
  }
}
