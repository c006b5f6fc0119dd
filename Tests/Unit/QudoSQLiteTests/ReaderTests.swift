import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Reads while the writer works.
@Suite struct ReaderTests {
  let file: TemporaryFile
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open()
  }

  @Test func aCallSeesOneMomentAndHoldsUpNoWriter() async throws {
    _ = try await driver.insert([job()])
    let (began, begin) = AsyncStream<Void>.makeStream()
    let gate = DispatchSemaphore(value: 0)
    let reading = Task {
      try await driver.reader.read { snapshot throws(QudoError) in
        let before = try snapshot.count(nil)
        begin.yield()
        gate.wait()
        return [before, try snapshot.count(nil)]
      }
    }
    for await _ in began { break }
    #expect(try await driver.insert([job()]) == [.inserted(2)])
    gate.signal()
    #expect(try await reading.value == [[JobCount("a", ready: 1)], [JobCount("a", ready: 1)]])
    #expect(try await driver.count() == [JobCount("a", ready: 2)])
  }

  @Test func noSnapshotOutlivesItsCall() async throws {
    _ = try await driver.insert([job()])
    _ = try await driver.count()
    _ = try await driver.jobs(matching: JobQuery())
    // Busy, log and checkpointed frames: all of the WAL can be copied, for nobody reads an older state.
    let row = try #require(try file.rows("PRAGMA wal_checkpoint(TRUNCATE)").first)
    #expect(row.hasPrefix("0|"))
  }

  @Test func itCannotWrite() async throws {
    await #expect {
      try await driver.reader.read { snapshot throws(QudoError) in
        try snapshot.connection.run("DELETE FROM qudo_job")
      }
    } throws: { ($0 as? QudoError)?.code == .readOnly }
    #expect(try await driver.count() == [])
  }

  /// Should it be closed last, it makes the last checkpoint. Only macOS makes a difference.
  @Test("syncs its checkpoint as the writer does") func fullSync() async throws {
    #expect(
      try await driver.reader.read { snapshot throws(QudoError) in
        try snapshot.connection.integer("PRAGMA fullfsync")
      } == 1)
  }

  /// With the last connection SQLite removes the files next to the database: a read must not take that for a restore.
  @Test func closingIsNoReplacement() async throws {
    await driver.close()
    for _ in 0..<200 {
      let driver = try file.open()
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await driver.close() }
        for _ in 0..<4 {
          group.addTask {
            do throws(QudoError) {
              #expect(try await driver.count() == [])
            } catch {
              #expect(error.code == .closed)
            }
          }
        }
      }
    }
  }

  @Test func anErrorIsNotTheEnd() async throws {
    await #expect(throws: QudoError.self) {
      try await driver.reader.read { snapshot throws(QudoError) in
        try snapshot.connection.run("SELECT * FROM missing")
      }
    }
    #expect(try await driver.count() == [])
  }

  @Test func anotherFolderChangesNothing() async throws {
    let path = try await driver.writer.write(isDurable: true, isSmall: true) { transaction in
      transaction.connection.path
    }
    #expect(path == URL(fileURLWithPath: file.path).resolvingSymlinksInPath().path)
  }

  @Test func aCancelledTaskReadsNothing() async throws {
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await driver.count()
    }
    await #expect { try await task.value } throws: { ($0 as? QudoError)?.code == .cancelled }
  }

  @Test func closingLetsGoOfTheFile() async throws {
    _ = try await driver.insert([job()])
    _ = try await driver.count()
    await driver.reader.close()
    await #expect { try await driver.count() } throws: { ($0 as? QudoError)?.code == .closed }
    #expect(try await driver.insert([job()]) == [.inserted(2)])
  }
}
