import FaultyDisk
import QudoSQLite

/// A way in which a disk fails.
struct Way: Sendable {
  let name: String
  let durabilities: [SQLiteDriver.Durability]
  /// Of what is not synced, after a power loss. With `torn` SQLite knows that sectors may be torn.
  var survival = Survival.nothing
  let fault: @Sendable (Int) -> Fault

  static let all = [
    Way(name: "an error", durabilities: [.full, .normal, .off]) { Fault(.error, .all, at: $0, partly: $0 % 2 == 0) },
    Way(name: "errors from then on", durabilities: [.full, .normal]) { Fault(.error, .all, at: $0, lasts: true) },
    Way(name: "no sync from then on", durabilities: [.full, .normal]) { Fault(.error, .sync, at: $0, lasts: true) },
    Way(name: "no room", durabilities: [.full]) { Fault(.full, .write, at: $0, partly: $0 % 2 == 0) },
    Way(name: "no room from then on", durabilities: [.full, .normal]) { Fault(.full, .write, at: $0, lasts: true, partly: $0 % 2 == 0) },
    Way(name: "no room, padded WAL", durabilities: [.full], survival: .torn) { Fault(.full, .write, at: $0) },
    Way(name: "a short read", durabilities: [.full]) { Fault(.short, .read, at: $0) },
    Way(name: "power loss", durabilities: [.full, .normal]) { Fault(.powerLoss, .changes, at: $0) },
    Way(name: "power loss, some writes arrive", durabilities: [.full, .normal], survival: .some) { Fault(.powerLoss, .changes, at: $0) },
    Way(name: "power loss, sectors torn", durabilities: [.full, .normal], survival: .torn) { Fault(.powerLoss, .changes, at: $0) },
  ]

  func trial(_ scenario: Scenario, _ durability: SQLiteDriver.Durability, at: Int, seed: UInt64) -> Trial {
    Trial(scenario: scenario, durability: durability, fault: fault(at), survival: survival, seed: seed)
  }
}
