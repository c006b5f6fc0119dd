import FaultyDisk
import Qudo
import QudoSQLite

/// One run of a scenario with one fault.
struct FaultRun: CustomStringConvertible {
  let scenario: Scenario
  let durability: SQLiteDriver.Durability
  let fault: Fault
  /// What of the unsynced is there after a power loss.
  var survival = Survival.nothing
  var seed: UInt64 = 0

  var description: String { "\(scenario), \(durability): \(fault), \(survival) survives, seed \(seed)" }

  /// - Returns: whether the fault struck, and how many operations it could have struck.
  @discardableResult
  func run() async throws -> (struck: Bool, count: Int) {
    let machine = try await PowerCutMachine(scenario.start, durability, isPowersafe: survival != .torn)
    try await prepare(machine)
    // Who opens the file again cannot know of a sync that failed before; nor can one connection of another's.
    machine.disk.losesFailedSyncs = !scenario.steps.contains { $0.isOnNewConnection }
    machine.disk.arm(fault)
    for step in scenario.steps {
      let error = await machine.perform(step)
      if error != nil, !machine.isHurt { try await die(machine) }
      // What may be there doubles with each that is not sure.
      if machine.codes.count == 5 { break }
    }
    // Until a checkpoint that may be at work is done.
    _ = try? await machine.driver?.promote(limit: 1000)
    let (struck, count) = (machine.disk.hits > 0, machine.disk.count)
    if struck, fault.effect == .powerLoss { try await comeBack(machine) }
    if struck, fault.effect != .powerLoss { try await goOn(machine) }
    await machine.close()
    try check(machine, struck)
    return (struck, count)
  }

  private func check(_ machine: PowerCutMachine, _ struck: Bool) throws {
    if let wrong = machine.ledger.contradiction { throw InvariantViolation(wrong) }
    let expected: Set<QudoError.Code> = struck ? [.ioError, .diskFull, .cannotOpen, .outcomeUnknown] : []
    let codes = Set(machine.codes).subtracting(expected)
    guard codes.isEmpty else { throw InvariantViolation("somebody was told \(codes)") }
  }

  private func prepare(_ machine: PowerCutMachine) async throws {
    if case .reopen = scenario.steps.first {} else { try await machine.open() }
    for step in scenario.before {
      if let error = await machine.perform(step) { throw error }
    }
  }

  /// The power is back.
  private func comeBack(_ machine: PowerCutMachine) async throws {
    await machine.close()
    _ = try await FileInspector.look(
      at: machine.disk.images(survival, seed: seed), allowed: machine.ledger.afterPowerLoss,
      above: durability == .full ? machine.highestID : 0, machine.clock)
  }

  /// The process is killed right after a call has failed for the first time; and is not.
  private func die(_ machine: PowerCutMachine) async throws {
    machine.isHurt = true
    guard fault.effect != .powerLoss else { return }
    _ = try await FileInspector.look(
      at: machine.disk.images(.all), allowed: machine.ledger.now, above: machine.highestID, machine.clock)
  }

  /// The fault is over, and the process goes on.
  private func goOn(_ machine: PowerCutMachine) async throws {
    machine.disk.disarm()
    if let error = await machine.perform(.enqueue(["probe"])) {
      throw InvariantViolation("the driver does not go on: \(error)")
    }
    guard let driver = machine.driver else { throw InvariantViolation("the driver does not open") }
    let table = try await JobTable.read(driver)
    guard machine.ledger.now.contains(table) else {
      throw InvariantViolation("the driver goes on with \(table), but it may be only \(machine.ledger.now)")
    }
    if durability == .full {
      _ = try await FileInspector.look(
        at: machine.disk.images(.nothing), allowed: machine.ledger.afterPowerLoss, above: machine.highestID,
        machine.clock)
    }
    await machine.close()
    _ = try await FileInspector.look(
      in: machine.folder, allowed: [table], above: machine.highestID, machine.clock)
  }
}
