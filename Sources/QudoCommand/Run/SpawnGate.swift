internal import Qudo
internal import SystemPackage

/// Serializes the starts of commands.
///
/// The descriptor that reports a command's end is created only after its start. If the process is out of
/// descriptors then, the end is never noticed. So the gate first checks that enough descriptors are free, and
/// admits no other start until the command runs.
final class SpawnGate: Sendable {
  static let only = SpawnGate()

  private struct State {
    var isTaken = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }
  private let state = Locked(State())

  /// Waits for the gate.
  ///
  /// - Returns: a pass; call its ``Pass/leave()`` afterwards.
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

    /// Admits the next caller. Further calls do nothing.
    func leave() {
      let gate = gate.withLock { gate in
        defer { gate = nil }
        return gate
      }
      gate?.leave()
    }
  }

  /// Enough for the command's end, for the shared wait that the first command sets up, and some for the rest
  /// of the process.
  private static let spares = 8

  /// Checks that ``spares`` descriptors are free.
  ///
  /// - Throws: if fewer are free.
  static func checkDescriptors() throws(Errno) {
    var open: [FileDescriptor] = []
    // A failed close loses nothing, since nothing was written.
    defer { for file in open { try? file.close() } }
    do {
      for _ in 0..<spares {
        open.append(try FileDescriptor.open("/dev/null", .readOnly, options: .closeOnExec))
      }
    } catch let error as Errno {
      throw error
    } catch {
      throw .tooManyOpenFiles  // The calls above throw only `Errno`.
    }
  }
}
