internal import Dispatch
internal import Logging
internal import Qudo
internal import Subprocess
internal import SystemPackage

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Tells a guard process which commands run, so that they die with this process however it ends.
///
/// A process killed with SIGKILL cannot clean up, but the kernel closes its files. The guard waits for the
/// end of a pipe, then kills the process groups that it was told about. `PR_SET_PDEATHSIG` does not suffice:
/// it is "cleared for the child of a fork(2)" and "upon execve(2) of a set-user-ID" program, and it depends
/// on the thread that created the child: prctl(2).
///
/// Callers hold the ``SpawnGate`` for all calls except ``GuardedRun/ended()``.
final class CommandGuard: Sendable {
  static let only = CommandGuard()

  private struct State {
    var channel: FileDescriptor?
    var next = 0
    /// The process groups of the running commands, by run number; 0 until the group is known.
    var groups: [Int: pid_t] = [:]
    var isWarned = false
    /// The number of guards that ended right after their start.
    var attempts = 0
  }
  private let state = Locked(State())
  /// The unique name of this worker process.
  private let name = "\(getpid())-\(UInt64.random(in: .min ... .max))"

  /// A run of a command that the guard knows about.
  struct GuardedRun: Sendable {
    fileprivate let number: Int
    /// The value of QUDO_RUN, unique to the run.
    let name: String
    fileprivate let owner: CommandGuard

    func started(_ group: pid_t) { owner.set(number, group) }
    func ended() { owner.set(number, nil) }
  }

  /// Registers a run. Call it before starting the command.
  ///
  /// - Throws: `ResourceExhaustion` if no guard could be started because the system is out of a resource. If
  ///   this system cannot have a guard, a warning says so once.
  func begin(_ logger: Logger) async throws -> GuardedRun {
    if state.withLock({ $0.channel == nil && !$0.isWarned }) { try await start(logger) }
    var number = beginRun()
    if number == nil {
      // The guard was killed: start another.
      try await start(logger)
      number = beginRun()
    }
    let known = number ?? state.withLock { $0.next }
    return GuardedRun(number: known, name: "\(name).\(known)", owner: self)
  }

  /// - Returns: nil if the guard does not answer.
  private func beginRun() -> Int? {
    state.withLock { state in
      state.next += 1
      state.groups[state.next] = 0
      if state.channel == nil || send(GuardMessage.line(state.next, 0), &state) { return state.next }
      state.groups[state.next] = nil
      return nil
    }
  }

  private func set(_ number: Int, _ group: pid_t?) {
    state.withLock { state in
      // Ignore the second end of the same run.
      guard state.groups[number] != nil else { return }
      state.groups[number] = group
      // If this guard is dead, `start` tells the next one.
      _ = send(GuardMessage.line(number, group), &state)
    }
  }

  /// A failed write means that the guard is dead.
  private func send(_ text: String, _ state: inout State) -> Bool {
    guard let channel = state.channel else { return false }
    if (try? channel.writeAll(Array(text.utf8))) != nil { return true }
    state.channel = nil
    try? channel.close()  // A pipe has no data to lose.
    return false
  }

  private func start(_ logger: Logger) async throws {
    do {
      let channel = try await launch()
      state.withLock { state in
        state.channel = channel
        for (number, group) in state.groups { _ = send(GuardMessage.line(number, group), &state) }
      }
    } catch let error as Errno {
      if let shortage = ResourceExhaustion(error) { throw shortage }
      warn(logger, "\(error)")
    } catch let error as SubprocessError {
      if let cause = error.underlyingError, let shortage = ResourceExhaustion(cause) { throw shortage }
      warn(logger, "\(error)")
    }
  }

  private func warn(_ logger: Logger, _ reason: String) {
    let isFirst = state.withLock { state in
      defer { state.isWarned = true }
      return !state.isWarned
    }
    if isFirst {
      logger.warning(
        "no guard process: commands outlive this process if it is killed", metadata: ["error": "\(reason)"])
    }
  }

  // MARK: The other process

  /// Starts a guard, and waits until it ignores all signals that could end it.
  private func launch() async throws -> FileDescriptor {
    let (input, channel) = try Self.pipe()
    let ready: FileDescriptor
    let answer: FileDescriptor
    do {
      (ready, answer) = try Self.pipe()
    } catch {
      for end in [input, channel] { try? end.close() }  // Both pipes are empty.
      throw error
    }
    _ = fcntl(channel.rawValue, F_SETFL, O_NONBLOCK)
    var options = PlatformOptions()
    // Its own session keeps signals of the terminal and of this process group away.
    options.createSession = true
    let failure = Locked<(any Error)?>(nil)
    let name = name
    Task { [options] in
      // Close the descriptors only once: the kernel may reuse their numbers.
      let ends = Locked<[FileDescriptor]>([input, answer])
      let closeEnds: @Sendable () -> Void = {
        ends.withLock { ends in
          for end in ends { try? end.close() }  // The guard has its copies, or failed to start.
          ends = []
        }
      }
      var pid: pid_t?
      do {
        pid = try await run(
          ThisProgram.executable,
          arguments: Arguments(
            executablePathOverride: "job-guard", remainingValues: ["guard-process", name]),
          environment: .inherit.updating(["QUDO_RUN": nil]), platformOptions: options,
          input: .fileDescriptor(input, closeAfterSpawningProcess: false),
          output: .fileDescriptor(answer, closeAfterSpawningProcess: false),
          error: .discarded,
          body: { execution in
            OwnChildren.only.insert(execution.processIdentifier.value)
            closeEnds()
            return execution.processIdentifier.value
          }
        ).closureResult
      } catch {
        failure.withLock { $0 = error }
        closeEnds()
      }
      if let pid { OwnChildren.only.remove(pid) }
    }
    let isReady = await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
      DispatchQueue(label: "qudo.guard").async {
        var byte: UInt8 = 0
        continuation.resume(returning: withUnsafeMutableBytes(of: &byte) { (try? ready.read(into: $0)) == 1 })  // unsafe: one byte
      }
    }
    try? ready.close()
    if isReady { return channel }
    try? channel.close()
    // A guard that ends at once may be out of a resource too. Assume that only a few times, since no job runs
    // meanwhile.
    let attempts = state.withLock { state in
      state.attempts += 1
      return state.attempts
    }
    throw failure.withLock { $0 } ?? (attempts < 5 ? Errno.resourceTemporarilyUnavailable : .noChildProcess)
      as any Error
  }

  private static func pipe() throws -> (read: FileDescriptor, write: FileDescriptor) {
    let ends = try FileDescriptor.pipe()
    // If a command inherited an end, the guard would wait for that command to end as well.
    for end in [ends.readEnd, ends.writeEnd] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
    return (ends.readEnd, ends.writeEnd)
  }
}

/// A message to the guard: a line with the number of a run and its process group. The group is 0 before it is
/// known and absent at the end of the run.
enum GuardMessage {
  static func line(_ number: Int, _ group: pid_t?) -> String { "\(number)\(group.map { " \($0)" } ?? "")\n" }

  /// - Returns: nil if the line is not a message.
  static func parse(_ line: some StringProtocol) -> (number: Int, group: pid_t?)? {
    let parts = line.split(separator: " ", omittingEmptySubsequences: false)
    guard let number = parts.first.flatMap({ Int($0) }), parts.count <= 2 else { return nil }
    guard parts.count == 2 else { return (number, nil) }
    guard let group = pid_t(parts[1]) else { return nil }
    return (number, group)
  }
}

/// The executable of this program, for starting it again.
enum ThisProgram {
  static var executable: Executable {
    #if os(Linux)
    // This works even if the file was replaced or deleted since.
    if access("/proc/self/exe", X_OK) == 0 { return .path("/proc/self/exe") }
    #endif
    let name = StartArguments.all.first ?? "qudo"
    return name.contains("/") ? .path(FilePath(name)) : .name(name)
  }
}
