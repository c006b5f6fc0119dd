internal import ArgumentParser
internal import Logging
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

struct Work: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a command for each job of the given kinds.",
    discussion: """
      Works until it gets SIGTERM or SIGINT (Ctrl-C), or with --until-empty until nothing is left.

      The command is split into words and run without a shell: blanks separate words; '...' keeps everything in it; "..." \
      keeps everything but a backslash before " and \\; a backslash elsewhere keeps the next character. {} in a word becomes the \
      payload, within that word, byte for byte; a payload with a NUL byte, or longer than the system allows, fails the job for good. \
      The payload is also on standard input, and QUDO_JOB_ID, QUDO_JOB_DATABASE, QUDO_KIND and QUDO_ATTEMPT are set, and QUDO_RUN, \
      which is different for each run. A = in a kind is written \\=, and a backslash before it \\\\.

      For a shell's pipes and variables run sh -c, and pass the payload as an argument of its own, never within the script: sh would \
      run what a payload such as $(rm -rf .) says.

        qudo work pack='sh -c "gzip -c \\"$1\\" > \\"$1.gz\\"" sh {}'

      Exit status 0 completes the job. 65 fails it for good. Any other, also that of a command which cannot be run, fails this run, and \
      the job is tried again as --max-retries says. The end of standard error, 2 KiB of it, is the failure's message. A command that \
      cannot be started for want of descriptors, processes, memory or room for temporary files is no failure: its job waits for a \
      second and comes again.

      What the command writes is passed on when it ends, the output of one whole, then that of the next, so that lines never mix. \
      Nothing is added: where an output does not end with a newline, the next begins in the same line. Children that a command \
      leaves behind are not waited for, nor is what they write later passed on.

      At SIGTERM, SIGINT or SIGHUP no more jobs are taken. Running commands, which have sessions of their own and do not get a \
      terminal's Ctrl-C, may end within --grace; then they get SIGTERM, and SIGKILL 5 s later, and their jobs wait again at once, for \
      any worker. A second signal ends the grace. A command that gets one of these signals from elsewhere while the worker stops, as \
      from systemd, and dies of it or exits with 128 and its number, has not failed either: its job waits again.

      If this process is killed, with SIGKILL or by a crash, its commands and what they have started are killed at once, by a process \
      of its own that waits for that.

      At its start, now and then, and at the end of --until-empty, the worker says which kinds have ready jobs that it does not run: \
      jobs of a kind whose name is mistyped wait for ever.

      A server that is away, fails over, or refuses the password for a while is waited for, with --until-empty for 10 s.

      The exit status is 0 when the work was done or was stopped by a signal, however many jobs failed: those are in the failure log. \
      It is 1 when the output can no longer be written, and with --until-empty when one of several databases was down at the end; the \
      work in the others is done then.

        qudo work hash='sha256sum {}' --until-empty --concurrency 4
        qudo work mail='./send.sh' sms='./sms.sh {}' --max-retries 5 --retry-delay 30s
      """)

  @OptionGroup var database: Database
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var durability: DurabilityOption
  @Argument(help: ArgumentHelp("What to run for which kind.", valueName: "kind=command")) var commands: [String]
  @OptionGroup var policy: PolicyOptions
  @Option(help: "How many jobs at once, 1 to 1,000.") var concurrency = 1
  @Flag(help: "End when no job of these kinds is ready, delayed or running anywhere.") var untilEmpty = false
  @Flag(help: "With --until-empty: do not wait for jobs that are not due.") var skipDelayed = false
  @Option(
    help: ArgumentHelp("How long running commands may go on after a signal. Default: 10s.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var grace: Duration?
  @Flag(name: .shortAndLong, help: "Tell more of what happens: each run that fails and is tried again, for instance.") var verbose = false

  func validate() throws {
    guard (1...1000).contains(concurrency) else { throw ValidationError("--concurrency must be from 1 to 1,000") }
    if skipDelayed, !untilEmpty { throw ValidationError("--skip-delayed needs --until-empty") }
    // What the worker would refuse is wrong usage, and refused before a database is made.
    var kinds: Set<Kind> = []
    for text in commands {
      let kind = try Self.parse(text).kind
      guard kinds.insert(kind).inserted else { throw ValidationError("the kind \(SafeText.terminalSafe(kind.name)) is given twice") }
    }
  }

  private static func parse(_ text: String) throws -> (kind: Kind, template: CommandTemplate) {
    var (kind, rest) = ("", Substring(text).unicodeScalars)
    while let scalar = rest.popFirst(), scalar != "=" {
      // The kind may have that sign.
      let isEscape = scalar == "\\" && (rest.first == "=" || rest.first == "\\")
      kind.unicodeScalars.append(isEscape ? rest.removeFirst() : scalar)
      if rest.isEmpty { throw ValidationError("'\(SafeText.terminalSafe(text))' is not KIND=COMMAND") }
    }
    guard !kind.isEmpty else { throw ValidationError("'\(SafeText.terminalSafe(text))' is not KIND=COMMAND") }
    do {
      return (Kind(kind), try CommandTemplate(String(rest)))
    } catch {
      throw ValidationError(error.message)
    }
  }

  private func handlers(_ stop: ShutdownController) throws -> [JobHandler] {
    let shortages = ShortageLog()
    return try commands.map { text in
      let (kind, template) = try Self.parse(text)
      return JobHandler(kind, policy: policy.policy) { context in
        do {
          try await stop.commands.run { try await CommandRun.perform(template, context) }
        } catch let lost as LostOutput {
          // The job is not done: its output is part of it. It waits again, for whoever can be heard.
          stop.outputLost(lost.cause)
          throw Snooze(for: .zero)
        } catch let shortage as ResourceExhaustion {
          shortages.add(shortage, context.logger)
          throw Snooze(for: ResourceExhaustion.pause)
        } catch let ended as EndedBySignal {
          if await stop.isRequested(within: ended.isStatus ? .zero : EndedBySignal.patience) { throw Snooze(for: .zero) }
          throw CommandError(ended.message)
        }
      }
    }
  }

  private var options: WorkerOptions {
    var options = WorkerOptions()
    options.concurrency = concurrency
    options.shutdownGracePeriod = grace ?? .seconds(10)
    // A command that is stopped may take so long, and its outputs a moment to be passed on.
    options.cancellationGracePeriod = CommandRun.killDelay + .seconds(5)
    options.logger = Logger(label: "qudo") { _ in StandardErrorLog() }
    options.logger.logLevel = verbose ? .info : .warning
    return options
  }

  func run() async throws {
    let stop = ShutdownController()
    try await database.use(durability: durability.durability, create: true, fleet) { databases in
      let worker = try Worker(Queue(databases), handlers: handlers(stop), options: options)
      // First: a signal that came before, or a process that cannot watch for any, would end with jobs claimed.
      try Signals.watch(Signals.ending + (OwnChildren.mustReap ? [SIGCHLD] : [])) { [verbose] number in
        if number == SIGCHLD {
          Task { await OwnChildren.only.reapOthers() }
          return
        }
        if stop.request() == 1, verbose { printError("stopping: running commands may end within the grace; a second signal stops them") }
      }
      let (untilEmpty, skipDelayed) = (untilEmpty, skipDelayed)
      let work = Task { () async throws -> WorkSummary in
        untilEmpty ? try await worker.workUntilEmpty(skipDelayed: skipDelayed) : try await worker.work()
      }
      stop.attach(work)
      let others = OtherKinds(databases, own: worker.kinds)
      let watch = Task { await others.watch() }
      defer { watch.cancel() }
      let summary = try await work.value
      watch.cancel()
      await watch.value
      if untilEmpty { await others.look() }
      if verbose {
        let givenUp = summary.givenUp > 0 ? ", given up \(summary.givenUp)" : ""
        printError("completed \(summary.completed), failed \(summary.failed), given back \(summary.released)\(givenUp)")
      }
      guard summary.unreachable.isEmpty || !untilEmpty else {
        throw CommandError("what is left in these databases is not known, they are down: \(summary.unreachable.map { SafeText.terminalSafe($0) }.joined(separator: ", "))")
      }
    }
    if let error = stop.lostOutput { throw error }
  }
}
