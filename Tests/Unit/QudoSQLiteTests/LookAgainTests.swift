import Qudo
import QudoSQLite
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// A watch hears of a commit before it can be read.
@Suite struct LookAgainTests {
  @Test(
    "looks again after a look while another process holds the write lock", .timeLimit(.minutes(2)),
    arguments: [ClaimRequest([], limit: 0), demand(1, "a")])
  func again(request: ClaimRequest) async throws {
    let file = try TemporaryFile()
    let driver = try SQLiteDriver(path: file.path)
    // From the second one on, a claim that finds nothing only reads.
    for _ in 0..<2 { _ = try await driver.claim(demand(1, "a")) }
    let (rings, heard) = AsyncStream.makeStream(of: Void.self)
    let listener = driver.doorbell.listen { heard.yield() }
    defer { driver.doorbell.stopListening(listener) }
    var next = rings.makeAsyncIterator()
    let other = open(file.path + "-wal", O_RDWR | O_CLOEXEC)
    defer { close(other) }
    try #require(other >= 0 && flock(other, LOCK_EX | LOCK_NB) == 0)
    for _ in 0..<3 {
      #expect(try await driver.claim(request).jobs.isEmpty)
      try #require(await next.next() != nil)
    }
    // The last ring before may come from a look before the commit.
    #expect(try await driver.claim(request).jobs.isEmpty)
    flock(other, LOCK_UN)
    try #require(await next.next() != nil)
    #expect(try await driver.claim(request).jobs.isEmpty)
    await driver.close()
  }
}
