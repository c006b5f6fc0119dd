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

/// Tells another process, the guard, which commands run, so that they die with this one however it ends.
///
/// Nothing that a process does by itself happens when it is killed with SIGKILL, but the kernel closes its files: the guard waits for
/// the end of a pipe, and then kills the groups that it was told of. `PR_SET_PDEATHSIG` would not do: it is "cleared for the child of
/// a fork(2)" and "upon execve(2) of a set-user-ID" program, and goes by the thread that made the child: prctl(2).
///
/// All calls but ``Run/ended()`` are made by whoever is in the ``SpawnGate``.
final class CommandGuard: Sendable {
  static let only = CommandGuard()

  private struct State {
    var channel: FileDescriptor?
    var next = 0
    /// The running commands' groups, by the number of the run; 0 as long as the group is not known.
    var groups: [Int: pid_t] = [:]
    var isWarned = false
    /// How many guards ended at once.
    var attempts = 0
  }
  private let state = Locked(State())
  /// Nobody else's.
  private let name = "\(getpid())-\(UInt64.random(in: .min ... .max))"

  /// One command that the guard knows of.
  struct GuardedRun: Sendable {
    fileprivate let number: Int
    /// The value of QUDO_RUN, which is different for each run.
    let name: String
    fileprivate let owner: CommandGuard

    func started(_ group: pid_t) { owner.set(number, group) }
    func ended() { owner.set(number, nil) }
  }

  /// To be called before a command is started.
  ///
  /// - Throws: `ResourceExhaustion` when there is no guard because something is short. Where there can be none, that is said, once.
  func begin(_ logger: Logger) async throws -> GuardedRun {
    if state.withLock({ $0.channel == nil && !$0.isWarned }) { try await start(logger) }
    var number = beginRun()
    if number == nil {
      // The guard is gone: it was killed.
      try await start(logger)
      number = beginRun()
    }
    let known = number ?? state.withLock { $0.next }
    return GuardedRun(number: known, name: "\(name).\(known)", owner: self)
  }

  /// - Returns: nil when the guard does not answer.
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
      // The second end of one is no news.
      guard state.groups[number] != nil else { return }
      state.groups[number] = group
      // If the guard is gone, the next one is told.
      _ = send(GuardMessage.line(number, group), &state)
    }
  }

  /// A guard that does not read is as good as none.
  private func send(_ text: String, _ state: inout State) -> Bool {
    guard let channel = state.channel else { return false }
    if (try? channel.writeAll(Array(text.utf8))) != nil { return true }
    state.channel = nil
    try? channel.close()  // Nothing is left to be lost in it.
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

  /// Starts a guard, and waits until no signal can end it any more.
  private func launch() async throws -> FileDescriptor {
    let (input, channel) = try Self.pipe()
    let ready: FileDescriptor
    let answer: FileDescriptor
    do {
      (ready, answer) = try Self.pipe()
    } catch {
      for end in [input, channel] { try? end.close() }  // Nothing is in it.
      throw error
    }
    _ = fcntl(channel.rawValue, F_SETFL, O_NONBLOCK)
    var options = PlatformOptions()
    // No terminal's signal reaches it, nor one to this process's group.
    options.createSession = true
    let failure = Locked<(any Error)?>(nil)
    let name = name
    Task { [options] in
      // Once and no more: the numbers may be other files' by then.
      let ends = Locked<[FileDescriptor]>([input, answer])
      let closeEnds: @Sendable () -> Void = {
        ends.withLock { ends in
          for end in ends { try? end.close() }  // The guard has them, or nobody needs them.
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
    // One that ended at once may have been short of something too; not for ever, as no job would ever run.
    let attempts = state.withLock { state in
      state.attempts += 1
      return state.attempts
    }
    throw failure.withLock { $0 } ?? (attempts < 5 ? Errno.resourceTemporarilyUnavailable : .noChildProcess)
      as any Error
  }

  private static func pipe() throws -> (read: FileDescriptor, write: FileDescriptor) {
    let ends = try FileDescriptor.pipe()
    // If a command had one of them, the guard would wait for that command's end as well.
    for end in [ends.readEnd, ends.writeEnd] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
    return (ends.readEnd, ends.writeEnd)
  }
}

/// What a guard is told: a line with the number of a run, and its process group: 0 before it is known, none at its end.
enum GuardMessage {
  static func line(_ number: Int, _ group: pid_t?) -> String { "\(number)\(group.map { " \($0)" } ?? "")\n" }

  /// - Returns: nil for what is no message.
  static func parse(_ line: some StringProtocol) -> (number: Int, group: pid_t?)? {
    let parts = line.split(separator: " ", omittingEmptySubsequences: false)
    guard let number = parts.first.flatMap({ Int($0) }), parts.count <= 2 else { return nil }
    guard parts.count == 2 else { return (number, nil) }
    guard let group = pid_t(parts[1]) else { return nil }
    return (number, group)
  }
}

/// How this program is started once more.
enum ThisProgram {
  static var executable: Executable {
    #if os(Linux)
    // Also where the file was replaced or deleted since.
    if access("/proc/self/exe", X_OK) == 0 { return .path("/proc/self/exe") }
    #endif
    let name = StartArguments.all.first ?? "qudo"
    return name.contains("/") ? .path(FilePath(name)) : .name(name)
  }
}
