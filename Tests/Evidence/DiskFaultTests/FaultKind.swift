import FaultyDisk
import QudoSQLite

/// A way in which a disk fails.
struct FaultKind: Sendable {
  let name: String
  let durabilities: [SQLiteDriver.Durability]
  /// Of what is not synced, after a power loss. With `torn` SQLite knows that sectors may be torn.
  var survival = Survival.nothing
  let fault: @Sendable (Int) -> Fault

  static let all = [
    FaultKind(name: "an error", durabilities: [.full, .normal, .off]) {
      Fault(.error, .all, at: $0, partly: $0 % 2 == 0)
    },
    FaultKind(name: "errors from then on", durabilities: [.full, .normal]) {
      Fault(.error, .all, at: $0, lasts: true)
    },
    FaultKind(name: "no sync from then on", durabilities: [.full, .normal]) {
      Fault(.error, .sync, at: $0, lasts: true)
    },
    FaultKind(name: "no room", durabilities: [.full]) { Fault(.full, .write, at: $0, partly: $0 % 2 == 0) },
    FaultKind(name: "no room from then on", durabilities: [.full, .normal]) {
      Fault(.full, .write, at: $0, lasts: true, partly: $0 % 2 == 0)
    },
    FaultKind(name: "no room, padded WAL", durabilities: [.full], survival: .torn) {
      Fault(.full, .write, at: $0)
    },
    FaultKind(name: "a short read", durabilities: [.full]) { Fault(.short, .read, at: $0) },
    FaultKind(name: "power loss", durabilities: [.full, .normal]) { Fault(.powerLoss, .changes, at: $0) },
    FaultKind(name: "power loss, some writes arrive", durabilities: [.full, .normal], survival: .some) {
      Fault(.powerLoss, .changes, at: $0)
    },
    FaultKind(name: "power loss, sectors torn", durabilities: [.full, .normal], survival: .torn) {
      Fault(.powerLoss, .changes, at: $0)
    },
  ]

  func trial(_ scenario: Scenario, _ durability: SQLiteDriver.Durability, at: Int, seed: UInt64) -> FaultRun {
    FaultRun(scenario: scenario, durability: durability, fault: fault(at), survival: survival, seed: seed)
  }
}
