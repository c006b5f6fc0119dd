internal import Qudo
internal import QudoSchedules
internal import Subprocess
internal import SystemPackage

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The output of a command could not be forwarded.
struct LostOutput: Error {
  let cause: any Error
}

/// A signal ended a command and may be meant for the worker as well. The kernel says so, or the exit status, as with shells.
struct EndedBySignal: Error {
  let message: String
  /// How long to wait for the same signal to reach the worker.
  static let timeout = Duration.seconds(1)
}

/// One run of a command for a job.
enum CommandRun {
  /// The time between SIGTERM and SIGKILL.
  static let killDelay = Duration.seconds(5)
  /// The maximum number of bytes from the end of standard error in the failure's message.
  private static let messageBytes: Int64 = 2048

  static func perform(_ template: CommandTemplate, _ context: JobContext) async throws {
    let payload = context.payload.bytes
    let words = try template.filled(with: payload)
    let pass = await SpawnGate.only.enter()
    defer { pass.leave() }
    let input = try ResourceExhaustion.noticing { try UnlinkedTemporaryFile.make(payload) }
    let output = try ResourceExhaustion.noticing { try UnlinkedTemporaryFile.make() }
    let errors = try ResourceExhaustion.noticing { try UnlinkedTemporaryFile.make() }
    let run = try await CommandGuard.only.begin(context.logger)
    // End the run even if the command does not start.
    defer { run.ended() }
    try ResourceExhaustion.noticing { try SpawnGate.checkDescriptors() }
    let status = try await spawn(words, context, run, input.descriptor, output.descriptor, errors.descriptor)
    { pass.leave() }
    do {
      try await OutputForwarder.write(output: output, errors: errors)
    } catch {
      throw LostOutput(cause: error)
    }
    // A stopped command that reports success may have done only part of its work.
    try Task.checkCancellation()
    // The command is not to blame if the file system of its outputs was full.
    if status != .exited(0), output.isOutOfRoom || errors.isOutOfRoom {
      throw ResourceExhaustion(.noSpace) ?? Errno.noSpace as any Error
    }
    try judge(status, errors)
  }

  /// The variables of a job that a schedule enqueued. Any other job gets empty ones if this process has them itself.
  private static func ofSchedule(_ context: JobContext) -> [(name: String, value: String)] {
    let (schedule, tick) = (context.schedule, context.scheduledFor)
    guard schedule != nil || getenv("QUDO_SCHEDULE") != nil || getenv("QUDO_SCHEDULED_FOR") != nil else {
      return []
    }
    return [("QUDO_SCHEDULE", schedule ?? ""), ("QUDO_SCHEDULED_FOR", tick?.utc ?? "")]
  }

  /// - Parameter started: called once the command runs.
  private static func spawn(
    _ words: [[UInt8]], _ context: JobContext, _ guarded: CommandGuard.GuardedRun, _ input: FileDescriptor,
    _ output: FileDescriptor, _ errors: FileDescriptor,
    started: @escaping () -> Void
  ) async throws -> TerminationStatus {
    // Processes that the command left behind may keep running.
    defer { guarded.ended() }
    let program = String(decoding: words[0], as: UTF8.self)
    // Arguments are C strings: append NUL.
    let arguments = Arguments(words.dropFirst().map { $0 + [0] })
    var child: pid_t?
    defer { if let child { OwnChildren.only.remove(child) } }
    do {
      return try await run(
        program.contains("/") ? .path(FilePath(program)) : .name(program),
        arguments: arguments,
        environment: CommandEnvironment.adding(
          [
            ("QUDO_JOB_ID", "\(context.job.id)"), ("QUDO_JOB_DATABASE", context.database),
            ("QUDO_KIND", context.kind.name),
            ("QUDO_ATTEMPT", "\(context.attempt)"), ("QUDO_RUN", guarded.name),
          ] + ofSchedule(context)),
        platformOptions: options,
        input: .fileDescriptor(input, closeAfterSpawningProcess: false),
        output: .fileDescriptor(output, closeAfterSpawningProcess: false),
        error: .fileDescriptor(errors, closeAfterSpawningProcess: false),
        body: { execution in
          child = execution.processIdentifier.value
          OwnChildren.only.insert(execution.processIdentifier.value)
          guarded.started(execution.processIdentifier.value)
          started()
        }
      ).terminationStatus
    } catch let error as SubprocessError {
      throw failure(error, program)
    }
  }

  /// The options that start the command in its own session and process group. Ctrl-C at a terminal then
  /// reaches only the worker, which grants the command the grace period. Stopping the command also stops the
  /// processes that it started. A command that reads from the terminal finds none; a background process of
  /// the worker's session would be stopped by SIGTTIN forever.
  private static var options: PlatformOptions {
    var options = PlatformOptions()
    options.createSession = true
    options.teardownSequence = [.gracefulShutDown(toProcessGroup: true, allowedDurationToNextStep: killDelay)]
    return options
  }

  private static func failure(_ error: SubprocessError, _ program: String) -> any Error {
    let name = SafeText.terminalSafe(program)
    if error.code == .spawnFailed, let cause = error.underlyingError, let shortage = ResourceExhaustion(cause)
    {
      return shortage
    }
    switch error.underlyingError {
    case .argListTooLong?:
      return Abort(
        "the payload is too long for an argument on this system. Let the command read it from standard input")
    case .noSuchFileOrDirectory?, .permissionDenied?:
      return CommandError("the command \(name) does not exist or is not executable")
    case let cause? where error.code == .spawnFailed:
      return CommandError("cannot run the command \(name): \(cause)")
    default: break
    }
    if error.code == .executableNotFound {
      return CommandError("the command \(name) does not exist or is not executable")
    }
    return CommandError("cannot run the command \(name): \(error)")
  }

  private static func judge(_ status: TerminationStatus, _ errors: borrowing UnlinkedTemporaryFile) throws {
    let words: String
    switch status {
    case .exited(0): return
    case .exited(let code): words = "exit status \(code)"
    case .signaled(let signal): words = "killed by signal \(signal)"
    }
    let text = try errors.tail(messageBytes)
    let start = text.firstIndex { !$0.isWhitespace } ?? text.endIndex
    let end = text.lastIndex { !$0.isWhitespace }.map { text.index(after: $0) } ?? text.endIndex
    let message = start < end ? "\(words): \(text[start..<end])" : words
    let stopping = [SIGHUP, SIGINT, SIGTERM]
    switch status {
    case .exited(65): throw Abort(message)
    case .signaled(let signal) where stopping.contains(signal): throw EndedBySignal(message: message)
    case .exited(let code) where stopping.contains(code - 128): throw EndedBySignal(message: message)
    default: break
    }
    throw CommandError(message)
  }
}
