internal import Qudo
internal import SystemPackage

/// Through which commands are started, one after the other.
///
/// What is told of a command's end is a descriptor that is made when it was started already, and if there is none left then, its
/// end is never noticed. So it is made sure beforehand that there are some, and nobody else takes them before it runs.
final class SpawnGate: Sendable {
  static let only = SpawnGate()

  private struct State {
    var isTaken = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }
  private let state = Locked(State())

  /// - Returns: who went in, and is to be told to leave.
  func enter() async -> Pass {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        if state.isTaken {
          state.waiters.append(continuation)
          return false
        }
        state.isTaken = true
        return true
      }
      if isFree { continuation.resume() }
    }
    return Pass(self)
  }

  private func leave() {
    let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
      guard state.waiters.isEmpty else { return state.waiters.removeFirst() }
      state.isTaken = false
      return nil
    }
    next?.resume()
  }

  final class Pass: Sendable {
    private let gate: Locked<SpawnGate?>

    fileprivate init(_ gate: SpawnGate) { self.gate = Locked(gate) }

    /// Lets the next one in; the second time it does nothing.
    func leave() {
      let gate = gate.withLock { gate in
        defer { gate = nil }
        return gate
      }
      gate?.leave()
    }
  }

  /// For the command's end, the first time for what all ends are waited for with, and some for the rest of the process.
  private static let spares = 8

  /// - Throws: when less than that are left.
  static func checkDescriptors() throws(Errno) {
    var open: [FileDescriptor] = []
    // Nothing was written to them that a failure to close could lose.
    defer { for file in open { try? file.close() } }
    do {
      for _ in 0..<spares {
        open.append(try FileDescriptor.open("/dev/null", .readOnly, options: .closeOnExec))
      }
    } catch let error as Errno {
      throw error
    } catch {
      throw .tooManyOpenFiles  // It throws nothing else.
    }
  }
}
