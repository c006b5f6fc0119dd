#if QUDO_INTERLEAVINGS
import Evidence
import Qudo
import QudoTesting

/// One of those who call a driver at the same time: it enqueues, claims, extends and settles as its seed has it, and some of its tasks are
/// cancelled. It writes down what it was told.
struct Caller: Sendable {
  let number: Int
  let driver: any LogDriver
  let ledger: Ledger
  /// What may be told besides what the caller itself has brought about.
  var expected: Set<QudoError.Code> = []
  /// When so many calls have begun, the driver is closed.
  let closesAfter: Int
  var random: Seeded
  private var held: [ClaimedJob] = []
  private var made = 0

  init(
    _ number: Int, _ driver: any LogDriver, _ ledger: Ledger, closesAfter: Int,
    expected: Set<QudoError.Code> = [], seed: UInt64
  ) {
    self.number = number
    self.driver = driver
    self.ledger = ledger
    self.closesAfter = closesAfter
    self.expected = expected
    random = Seeded(seed: seed &* 1009 &+ UInt64(number))
  }

  /// All of them at once, until each has made its calls.
  static func run(_ callers: [Caller], calls: Int) async {
    await withTaskGroup(of: Void.self) { group in
      for caller in callers {
        group.addTask {
          var caller = caller
          for _ in 0..<calls { await caller.callSomething() }
        }
      }
    }
  }

  private mutating func callSomething() async {
    switch random.number(0...12) {
    case 0...3: await insert()
    case 12: await insertAndLook()
    case 4...5: await claim()
    case 6...8: await settle()
    case 9: await extend()
    case 10: await call { driver throws(QudoError) in _ = try await driver.promote(limit: 10) }
    default:
      await call { driver throws(QudoError) in
        _ = try await driver.count()
        _ = try await driver.jobs(matching: JobQuery(limit: 5))
      }
    }
  }

  private mutating func newNames(_ count: Int) -> [String] {
    defer { made += count }
    return (made..<made + count).map { "\(number).\($0)" }
  }

  private mutating func insert() async {
    let names = newNames(random.once(in: 12) ? 100 : random.number(1...3))
    switch await call({ driver throws(QudoError) in try await driver.insert(names.map { job($0) }) }) {
    case .success(let results):
      if results.count != names.count { ledger.trouble("\(results.count) answers for \(names.count) jobs") }
      ledger.inserted(names, .done)
    case .failure(let trouble): ledger.inserted(names, trouble.told)
    }
  }

  /// A job of a kind that nobody claims: whoever was answered finds it, on a connection of its own.
  private mutating func insertAndLook() async {
    let names = newNames(1)
    switch await call({ driver throws(QudoError) in try await driver.insert(names.map { job($0, "b") }) }) {
    case .success(let results):
      ledger.inserted(names, .done)
      let ids = results.map(\.id)
      let found = await call { driver throws(QudoError) in try await driver.jobs(matching: JobQuery(ids: ids))
      }
      if case .success(let found) = found, found.map(\.payload.name) != names {
        ledger.trouble("\(names) was acknowledged, and is not there yet")
      }
    case .failure(let trouble): ledger.inserted(names, trouble.told)
    }
  }

  private var request: ClaimRequest {
    mutating get {
      ClaimRequest(
        [.init("a", leaseDuration: .seconds(60))], limit: random.once(in: 12) ? 100 : random.number(1...4))
    }
  }

  private mutating func claim() async {
    let request = request
    switch await call({ driver throws(QudoError) in try await driver.claim(request) }) {
    case .success(let claim): take(claim)
    case .failure(let trouble): if case .unknown = trouble.told { ledger.claimInDoubt() }
    }
  }

  private mutating func take(_ claim: Claim) {
    ledger.claimed(claim.jobs.map(\.payload.name))
    held += claim.jobs
  }

  private mutating func settle() async {
    let count = min(held.count, random.number(1...3))
    guard count > 0 else { return await claim() }
    let jobs = Array(held.prefix(count))
    held.removeFirst(count)
    var replacements: [Int: [String]] = [:]
    var settlements: [Settlement] = []
    var isOver: [Bool] = []
    for (index, job) in jobs.enumerated() {
      let (outcome, over) = outcome(&replacements[index])
      settlements.append(Settlement(job.lease, outcome))
      isOver.append(over)
    }
    let (all, next) = (settlements, random.once(in: 2) ? request : nil)
    let answer = await call { driver throws(QudoError) in try await driver.settle(all, claiming: next) }
    let told: Ledger.Told
    switch answer {
    case .success(let (results, claim)):
      if results.count != jobs.count {
        ledger.trouble("\(results.count) answers for \(jobs.count) settlements")
      }
      // The clock stands still: no lease ends.
      for (job, result) in zip(jobs, results) where result == .leaseLost {
        ledger.trouble("\(job.payload.name): the lease was lost")
      }
      if let claim { take(claim) }
      told = .done
    case .failure(let trouble):
      told = trouble.told
      if case .failed = told { held += jobs }
      if case .unknown = told, next != nil { ledger.claimInDoubt() }
    }
    for (index, job) in jobs.enumerated() {
      ledger.inserted(replacements[index] ?? [], told)
      ledger.settled(job.payload.name, isOver: isOver[index], told)
    }
  }

  /// - Returns: and whether the job is gone with it.
  private mutating func outcome(_ replacements: inout [String]?) -> (Settlement.Outcome, isOver: Bool) {
    switch random.number(0...5) {
    case 0: return (.released, false)
    case 1: return (.retry(after: .zero, message: "again"), false)
    case 2: return (.failed(message: "over"), true)
    case 3:
      let names = newNames(random.number(1...2))
      replacements = names
      return (.completed(replacements: names.map { job($0) }), true)
    default: return (.completed(), true)
    }
  }

  private mutating func extend() async {
    guard !held.isEmpty else { return await claim() }
    let leases = held.map(\.lease)
    guard
      case .success(let extended) = await call({ driver throws(QudoError) in
        try await driver.renew(leases, for: .seconds(90))
      })
    else { return }
    for (job, lease) in zip(held, extended) where lease?.token != job.lease.token {
      ledger.trouble("\(job.payload.name): not extended")
    }
  }

  struct Trouble: Error {
    let told: Ledger.Told
  }

  /// Makes a call in a task of its own, which may be cancelled before, during or after it. Who makes the call that the driver is to be closed
  /// at closes it meanwhile.
  @discardableResult
  private mutating func call<Value: Sendable>(
    _ verb: @escaping @Sendable (any LogDriver) async throws(QudoError) -> Value
  ) async -> Result<Value, Trouble> {
    let (begun, isClosed) = ledger.begin()
    let (driver, ledger) = (driver, ledger)
    let closer = begun == closesAfter ? Task { await Self.close(driver, ledger) } : nil
    let task = Task { () async -> Result<Value, QudoError> in
      do throws(QudoError) { return .success(try await verb(driver)) } catch { return .failure(error) }
    }
    let isCancelled = random.once(in: 4)
    if isCancelled {
      await giveWay(random.number(0...6))
      task.cancel()
    }
    let result = await task.value
    if isClosed, case .success = result { ledger.trouble("a closed driver did what it was asked") }
    await closer?.value
    return result.mapError {
      Trouble(told: ledger.told($0, wasClosed: isClosed, wasCancelled: isCancelled, expected: expected))
    }
  }

  private static func close(_ driver: any LogDriver, _ ledger: Ledger) async {
    ledger.closes()
    // Some of them at once.
    async let other: Void = driver.close()
    await driver.close()
    await other
    ledger.closed()
  }
}
#endif
