import CSQLite
import Foundation
import Logging
import Qudo
import QudoTesting
import TestSupport
import Testing

@testable import QudoSQLite

/// Commits while others commit: in this process, in another one, and in a program that is not Qudo.
@Suite struct WriterTests {
  let file: TemporaryFile

  init() throws { file = try TemporaryFile() }

  private func open(timeout: Duration = .seconds(30)) throws -> SQLiteDriver {
    try SQLiteDriver(path: file.path, durability: .normal, busyTimeout: timeout)
  }

  private func code<Result>(_ body: () async throws -> Result) async -> QudoError.Code? {
    do {
      _ = try await body()
      return nil
    } catch { return (error as? QudoError)?.code }
  }

  /// A connection as an application has, which holds the write lock.
  private func foreigner() throws -> OpaquePointer {
    var handle: OpaquePointer?
    try #require(sqlite3_open(file.path, &handle) == SQLITE_OK)
    try #require(sqlite3_exec(handle, "BEGIN IMMEDIATE", nil, nil, nil) == SQLITE_OK)
    return try #require(handle)
  }

  @Test("A call waits for a foreign writer until the timeout, and no longer")
  func foreignWriterIsWaitedFor() async throws {
    let driver = try open(timeout: .milliseconds(250))
    let foreign = try foreigner()
    #expect(await code { try await driver.insert([job("too late")]) } == .busy)
    sqlite3_close(foreign)
    #expect(try await driver.insert([job("in time")]) == [.inserted(1)])
    #expect(try await driver.claim(demand()).texts == ["in time"])
  }

  @Test func whoWaitsForAForeignWriterGoesOnWhenItEnds() async throws {
    let driver = try open()
    let foreign = try foreigner()
    async let results = driver.insert([job()])
    async let other = driver.insert([job()])
    sqlite3_exec(foreign, "COMMIT", nil, nil, nil)
    sqlite3_close(foreign)
    #expect(try await Set(results + other) == [.inserted(1), .inserted(2)])
  }

  @Test("A call waits for the write lock of another process until the timeout, and no longer")
  func writeLockOfAProcessIsWaitedFor() async throws {
    let driver = try open(timeout: .milliseconds(50))
    let writeLock = try WriteLock(path: file.path)
    try writeLock.take()
    async let first = code { try await driver.insert([job("1")]) }
    async let second = code { try await driver.insert([job("2")]) }
    let answers: [QudoError.Code?] = await [first, second]
    #expect(answers == [.busy, .busy])
    writeLock.giveBack()
    _ = try await driver.insert([job("3")])
    #expect(
      try await driver.claim(demand()).texts == ["3"], "what was answered with busy was not done after all")
  }

  @Test("answers busy to who comes after all others have given up", .timeLimit(.minutes(1))) func secondWave()
    async throws
  {
    let driver = try open(timeout: .milliseconds(50))
    let writeLock = try WriteLock(path: file.path)
    try writeLock.take()
    for _ in 0..<3 { #expect(await code { try await driver.insert([job()]) } == .busy) }
    writeLock.giveBack()
    _ = try await driver.insert([job("last")])
    #expect(try await driver.claim(demand()).texts == ["last"])
  }

  @Test("closes after its time-out though another process keeps the turn", .timeLimit(.minutes(1)))
  func closesWithoutTheTurn() async throws {
    let driver = try open(timeout: .seconds(1))
    _ = try await driver.insert([job("first")])
    let writeLock = try WriteLock(path: file.path)
    try writeLock.take()
    let isAnswered = Locked(false)
    let insert = Task {
      defer { isAnswered.withLock { $0 = true } }
      return await code { try await driver.insert([job("late")]) }
    }
    while driver.writer.waitingCount == 0, !isAnswered.withLock({ $0 }) { await Task.yield() }
    async let twice: Void = driver.close()
    await driver.close()
    await twice
    await driver.close()
    #expect(await insert.value == .busy, "what was handed in before is answered")
    #expect(await code { try await driver.claim(demand()) } == .closed)
    writeLock.giveBack()
    let again = try open()
    #expect(try await again.claim(demand()).texts == ["first"])
  }

  /// A writer whose lock fails, as `flock` does with ENOLCK.
  private func writerWithoutLock() throws -> Writer {
    let connection = try DatabaseOpener.open(path: file.path, durability: .normal, create: true)
    let checkpoint = Checkpoint(pageSize: 2048, walLimit: 1 << 30, logger: Logger(label: "qudo"))
    let writeLock = WriteLock(file: -1)
    let core = WriterCore(
      connection, clock: SystemClock(), locks: KernelLocks(writeLock), beside: FilesBeside(file.path),
      generation: [], durability: .normal,
      checkpoint: checkpoint, receiptLifetime: .seconds(1))
    return Writer(core: core, writeLock: writeLock, timeout: .seconds(30), doorbell: Doorbell())
  }

  @Test("closes the file though the system does not give the lock", .timeLimit(.minutes(1)))
  func lockThatFails() async throws {
    let writer = try writerWithoutLock()
    #expect(await code { try await writer.compact() } == .ioError)
    #expect(FileManager.default.fileExists(atPath: file.path + "-wal"))
    await writer.close()
    #expect(
      !FileManager.default.fileExists(atPath: file.path + "-wal"),
      "whoever closes the file last removes its WAL")
  }

  @Test(
    "Opening a file waits for the write lock of another process until the timeout, and no longer",
    .timeLimit(.minutes(5))) func openingWaitsForTheWriteLock()
    async throws
  {
    await (try open()).close()
    let driver = try open()
    let writeLock = try WriteLock(path: file.path)
    try writeLock.take()
    #expect(await code { try open(timeout: .milliseconds(50)) } == .busy)
    async let patient = open(timeout: .seconds(Int64.max))
    writeLock.giveBack()
    // Nor has the one that gave up the turn now.
    #expect(try await patient.insert([job("1")]) == [.inserted(1)])
    #expect(try await driver.insert([job("2")]) == [.inserted(2)])
  }

  #if os(Linux)
  @Test("openings that have given up leave no more than one descriptor behind", .timeLimit(.minutes(5)))
  func givenUpOpenings() async throws {
    await (try open()).close()
    let driver = try open()
    let writeLock = try WriteLock(path: file.path)
    try writeLock.take()
    let before = walDescriptors
    for _ in 0..<5 { #expect(await code { try open(timeout: .milliseconds(20)) } == .busy) }
    #expect(walDescriptors <= before + 1)
    writeLock.giveBack()
    // That one gives the turn back.
    _ = try await driver.insert([job("1")])
    while walDescriptors > before { await Task.yield() }
    let patient = try open(timeout: .seconds(60))
    #expect(try await patient.claim(demand()).texts == ["1"])
    await patient.close()
    await driver.close()
  }

  /// How many descriptors this process has on the `-wal`.
  private var walDescriptors: Int {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return all.count {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == file.path
        + "-wal"
    }
  }
  #endif

  @Test("Opening a file waits for a foreign writer until the timeout, and no longer", .timeLimit(.minutes(5)))
  func openingWaitsForAForeignWriter() async throws {
    let driver = try open()
    let foreign = try foreigner()
    let beginning = ContinuousClock.now
    #expect(await code { try open(timeout: .milliseconds(50)) } == .busy)
    #expect(ContinuousClock.now - beginning < .seconds(20), "it waited for the default time-out")
    sqlite3_close(foreign)
    await (try open(timeout: .milliseconds(50))).close()
    #expect(try await driver.insert([job()]) == [.inserted(1)])
  }

  @Test func aCancelledTaskIsToldBeforeAnythingIsWritten() async throws {
    let driver = try open()
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return await code { try await driver.insert([job()]) }
    }
    task.cancel()
    #expect(await task.value == .cancelled)
    #expect(try await driver.count() == [])
  }

  @Test("A submitted call is done though its task is cancelled")
  func submittedCallOutlivesItsTask() async throws {
    // However long it takes until it is seen here: its time must not be over by then.
    let driver = try SQLiteDriver(path: file.path, busyTimeout: .seconds(3600))
    let writeLock = try WriteLock(path: file.path)
    try writeLock.take()
    let task = Task { try await driver.insert([job()]) }
    while driver.writer.waitingCount == 0 { await Task.yield() }
    task.cancel()
    writeLock.giveBack()
    #expect(try await task.value == [.inserted(1)])
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
  }

  @Test("one that spoils a transaction costs its neighbours a few more, not one each")
  func spoiledGroup() async throws {
    let transactions = Locked(0)
    let driver = try SQLiteDriver(
      path: file.path, durability: .normal, busyTimeout: .seconds(3600), clock: SystemClock(),
      observer: { if case .transactionBegins = $0 { transactions.withLock { $0 += 1 } } })
    let writeLock = try WriteLock(path: file.path)
    try writeLock.take()
    let (done, spoiled) = (Locked(0), Locked(0))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<64 {
        group.addTask {
          guard number == 40 else {
            _ = try await driver.insert([job("\(number)")])
            return done.withLock { $0 += 1 }
          }
          let code = await code {
            try await driver.writer.write(isDurable: true, isSmall: false) { _ throws(QudoError) in
              throw QudoError(.invalidArgument, "spoiled")
            }
          }
          if code == .invalidArgument { spoiled.withLock { $0 += 1 } }
        }
      }
      while driver.writer.waitingCount < 64 { await Task.yield() }
      writeLock.giveBack()
      try await group.waitForAll()
    }
    #expect(done.withLock { $0 } == 63 && spoiled.withLock { $0 } == 1)
    // The whole, and two halves each time.
    #expect(transactions.withLock { $0 } <= 1 + 2 * 6)
    #expect(try await driver.count() == [JobCount("a", ready: 63)])
    await driver.close()
  }

  enum IdleBeside: CaseIterable { case nothing, manyKinds, cancellation }

  @Test(
    "the claims of an idle worker take no turn from those who write", .timeLimit(.minutes(5)),
    arguments: IdleBeside.allCases)
  func idleClaims(_ beside: IdleBeside) async throws {
    let kinds = (["idle"] + (0..<(beside == .manyKinds ? 99 : 0)).map { "idle\($0)" }).map { Kind($0) }
    let request = ClaimRequest(kinds.map { .init($0) }, limit: 9)
    let transactions = Locked(0)
    let driver = try SQLiteDriver(
      path: file.path, durability: .normal, busyTimeout: .seconds(3600), clock: SystemClock(),
      observer: { if case .transactionBegins = $0 { transactions.withLock { $0 += 1 } } })
    let other = try open()
    // The driver knows the number of each kind.
    for kind in kinds {
      let new = try await other.insert([job("made", kind: kind, due: .after(.seconds(3600)))])
      _ = try await other.cancel(new.map(\.id), reason: nil)
    }
    if beside == .cancellation {
      let marked = try await other.insert([job("marked", kind: "busy")])
      _ = try await other.claim(demand(1, "busy"))
      #expect(try await other.cancel(marked.map(\.id), reason: nil) == [.cancelling])
    }
    for _ in 0..<2 { #expect(try await driver.claim(request).texts == []) }
    let before = transactions.withLock { $0 }
    let writeLock = try WriteLock(path: file.path)
    for number in 1...20 {
      _ = try await other.insert([
        job("\(number)", kind: "busy", due: number % 2 == 0 ? .now : .after(.seconds(3600)))
      ])
      try writeLock.take()
      #expect(try await driver.claim(request).texts == [])
      writeLock.giveBack()
    }
    #expect(transactions.withLock { $0 } == before)
    _ = try await other.insert([job("now", kind: kinds[kinds.count - 1])])
    #expect(try await driver.claim(request).texts == ["now"])
    await other.close()
    await driver.close()
  }

  @Test("Closing waits for submitted calls and answers each caller")
  func closingAnswersEachCaller() async throws {
    let driver = try open()
    let done = Locked(0)
    await withTaskGroup { group in
      for number in 0..<200 {
        group.addTask {
          if await code({ try await driver.insert([job("\(number)")]) }) == nil { done.withLock { $0 += 1 } }
        }
      }
      group.addTask { await driver.close() }
      group.addTask { await driver.close() }
    }
    #expect(await code { try await driver.claim(demand()) } == .closed)
    let ready = try await open().count().reduce(0) { $0 + $1.ready }
    #expect(ready == done.withLock { $0 })
  }

  @Test func oneFailingOperationSpoilsNoOtherOfItsGroup() async throws {
    let driver = try open()
    let writeLock = try WriteLock(path: file.path)
    try writeLock.take()
    let writer = driver.writer
    let answers = await withTaskGroup(of: Bool.self) { group in
      for number in 0..<20 {
        group.addTask {
          do throws(QudoError) {
            try await writer.write(isDurable: true, isSmall: false) { transaction throws(QudoError) in
              _ = try transaction.insert([job("\(number)")])
              if number % 5 == 0 { throw QudoError(.database, "spoiled") }
            }
            return true
          } catch { return false }
        }
      }
      writeLock.giveBack()
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(answers == 16)
    #expect(try await driver.count() == [JobCount("a", ready: 16)])
  }

  /// What the WAL-reset bug needs cannot happen: a checkpoint during a commit or during another checkpoint.
  @Test("No checkpoint runs during a commit or during another checkpoint")
  func checkpointsRunAlone() async throws {
    let watch = Locked((inside: 0, overlaps: 0, checkpoints: 0, transactions: 0))
    let observer: @Sendable (WriterCore.Event) -> Void = { event in
      watch.withLock { watch in
        switch event {
        case .transactionBegins, .checkpointBegins:
          if watch.inside > 0 { watch.overlaps += 1 }
          watch.inside += 1
          if event == .checkpointBegins { watch.checkpoints += 1 } else { watch.transactions += 1 }
        case .transactionEnds, .checkpointEnds: watch.inside -= 1
        }
      }
    }
    try await withThrowingTaskGroup { group in
      for _ in 0..<4 {
        let driver = try SQLiteDriver(
          path: file.path, durability: .normal, clock: SystemClock(), observer: observer)
        group.addTask {
          for _ in 0..<30 {
            _ = try await driver.insert((0..<150).map { _ in job(String(repeating: "x", count: 1000)) })
            _ = try await driver.insert([job()])
          }
        }
      }
      try await group.waitForAll()
    }
    let seen = watch.withLock { $0 }
    #expect(seen.overlaps == 0)
    #expect(seen.checkpoints >= 3 && seen.transactions >= 240)
  }
}
