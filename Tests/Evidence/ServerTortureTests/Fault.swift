#if MySQL
import FaultyNetwork
import Foundation
import QudoTesting

/// What happens to a server, or to the way to it, for a while.
enum Fault: String, CaseIterable {
  case killQuery = "KILL QUERY"
  case killConnection = "KILL CONNECTION"
  case statementLimit = "statement time limit"
  case rowsLocked = "rows locked"
  case readOnly = "read-only"
  case serverStopped = "server SIGSTOP"
  case serverKilled = "server SIGKILL"
  case swallowed = "packets swallowed"
  case held = "packets held"
  case delayed = "packets delayed"
  case truncated = "stream truncated"
  case cut = "connections cut"
  case workersKilled = "workers SIGKILL"
  case enqueuerKilled = "enqueuer SIGKILL"
  case controllerKilled = "controller SIGKILL"

  /// Those that `QUDO_TORTURE_FAULTS` names, in the words of the report and with commas between them; all when it is absent.
  private static let asked: [Fault] = {
    guard let words = ProcessInfo.processInfo.environment["QUDO_TORTURE_FAULTS"], !words.isEmpty else {
      return allCases
    }
    return words.split(separator: ",").compactMap { Fault(rawValue: $0.trimmingCharacters(in: .whitespaces)) }
  }()

  /// In a random order, again and again: so that each comes soon. Those that stop statements come more often: what is torn then is torn
  /// seldom.
  struct Deck {
    private var rest: [Fault] = []

    mutating func next(_ random: inout Seeded) -> Fault {
      if rest.isEmpty {
        let stopping = Fault.asked.filter { $0 == .killQuery || $0 == .statementLimit }
        rest = (Fault.asked + stopping + stopping).shuffled(using: &random)
      }
      return rest.popLast() ?? .serverStopped
    }
  }
}

extension Proxy.Direction {
  /// One of them, or both.
  static func some(_ random: inout Seeded) -> [Proxy.Direction] {
    [[.toServer], [.toClient], [.toServer, .toClient]].randomElement(using: &random) ?? allCases
  }
}
#endif
