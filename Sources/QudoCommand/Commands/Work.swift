internal import ArgumentParser
internal import Logging
internal import Qudo
internal import QudoSchedules

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
      Runs until SIGTERM or SIGINT (Ctrl-C), or with --until-empty until no jobs are left.

      The command is split into words and run without a shell: blanks separate words; '...' keeps everything in it; "..." \
      keeps everything but a backslash before " and \\; a backslash elsewhere keeps the next character. {} in a word becomes the \
      payload, within that word, byte for byte; a payload with a NUL byte, or longer than the system allows, fails the job for good. \
      The payload is also on standard input, and QUDO_JOB_ID, QUDO_JOB_DATABASE, QUDO_KIND and QUDO_ATTEMPT are set, and QUDO_RUN, \
      which is different for each run; for a job of a schedule also QUDO_SCHEDULE, its name, and QUDO_SCHEDULED_FOR, its tick. A = in a kind is written \\=, and a backslash before it \\\\.

      For a shell's pipes and variables run sh -c, and pass the payload as a separate argument, never within the script: sh would \
      run a payload such as $(rm -rf .).

        qudo work pack='sh -c "gzip -c \\"$1\\" > \\"$1.gz\\"" sh {}'

      Exit status 0 completes the job. Status 65 fails it for good. With any other status, or if the command cannot be run, this run \
      fails, and the job is retried as --max-retries says. The last 2 KiB of standard error become the failure's message. If the \
      system is out of file descriptors, processes, memory or temporary space, the job is retried after 1 s and nothing is recorded \
      as a failure.

      When a command ends, its whole output is passed on at once, so lines of different commands never mix. Nothing is added: if an \
      output does not end with a newline, the next one continues on the same line. The worker does not wait for children that a \
      command leaves behind, and does not pass on what they write later.

      At SIGTERM, SIGINT or SIGHUP the worker takes no more jobs. Running commands have their own sessions, so a terminal's Ctrl-C \
      does not reach them. They may finish within --grace; after that they get SIGTERM, then SIGKILL 5 s later, and their jobs are \
      ready again at once, for any worker. A second signal ends the grace period. If a command itself gets such a signal while the \
      worker stops, or within 1 s before, as systemd sends it, and dies from it or exits with 128 plus its number, the job has not \
      failed: it is ready again.

      If the worker is killed by SIGKILL or a crash, a guard process kills its commands and their children at once.

      At its start, from time to time, and at the end of --until-empty, the worker reports kinds that have ready jobs but no command: \
      jobs of a mistyped kind would wait forever.

      While it works, it also enqueues the ticks of the schedules in its databases: see schedule.

      A command whose job is cancelled gets SIGTERM, then SIGKILL 5 s later: see cancel.

      The worker waits for a server that is unavailable, fails over or temporarily refuses the password; with --until-empty, for 10 s.

      While it works, it deletes rows of the failure log and the status log that are older than --retention-age, or beyond \
      --retention-rows of a log: see also prune.

      Under a service manager such as systemd, with Type=notify, the worker sends it READY=1 when a database has first answered a \
      query for jobs, STOPPING=1 when it stops, and, with WatchdogSec=, WATCHDOG=1 four times in that time as long as its loop \
      answers. Commands do not inherit NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.

      If all --concurrency slots are held by commands that even SIGKILL does not end, as on a disk that hangs, the worker ends \
      with status 1, so that a service manager restarts it.

      When it ends, the worker reports on standard error how many jobs it completed, how many failed for good, and how many runs \
      failed and are retried; if there were any, also the jobs that were cancelled, given up after lost workers, snoozed or \
      released, and the leases it lost.

      The exit status is 0 if the work is done or a signal stopped it, even if jobs failed: see the failure log. With --fail it is 1 \
      if a job failed for good or was given up. It is 1 if the output can no longer be written, or if --until-empty ends while one \
      of several databases is down; the jobs of the others are done then.

        qudo work hash='sha256sum {}' --until-empty --concurrency 4
        qudo work mail='./send.sh' sms='./sms.sh {}' --max-retries 5 --retry-delay 30s
      """)

  @OptionGroup var database: Database
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var durability: DurabilityOption
  @Argument(help: ArgumentHelp("The kind of job, and the command to run for it.", valueName: "kind=command"))
  var commands: [String]
  @OptionGroup var policy: PolicyOptions
  @Option(help: "The maximum number of jobs that run at the same time, 1 to 1,000.") var concurrency = 1
  @Option(
    help: ArgumentHelp(
      """
      The maximum number of jobs of a kind that run at the same time in a database, in all workers together, 1 or more. Only \
      workers with this option obey it. Repeat the option for more kinds. Default: no limit.
      """, valueName: "kind=number"))
  var limit: [String] = []
  @Option(
    help: ArgumentHelp(
      """
      The maximum number of jobs of a kind that begin in a period in a database, in all workers together, such as 10/1s or \
      500/1h. After a pause that many begin in a burst, and then one after the other. Only workers with this option obey it. \
      Repeat the option for more kinds. Default: no limit.
      """, valueName: "kind=number/duration"))
  var rate: [String] = []
  @Flag(help: "Exit when no job of these kinds is ready, delayed or running anywhere.") var untilEmpty = false
  @Flag(help: "With --until-empty, do not wait for delayed jobs.") var skipDelayed = false
  @Option(
    help: ArgumentHelp(
      "How long running commands may continue after a signal. Default: 10s.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var grace: Duration?
  @OptionGroup var retention: RetentionOptions
  @Flag(help: "Exit with status 1 if a job failed for good.") var fail = false
  @Flag(name: .shortAndLong, help: "Log more, for example each failed run that is retried.") var verbose =
    false

  func validate() throws {
    guard (1...1000).contains(concurrency) else {
      throw ValidationError("--concurrency must be from 1 to 1,000")
    }
    if skipDelayed, !untilEmpty { throw ValidationError("--skip-delayed needs --until-empty") }
    // Reject what the worker would refuse as wrong usage, before a database is created.
    var kinds: Set<Kind> = []
    for text in commands {
      let kind = try Self.parse(text).kind
      guard kinds.insert(kind).inserted else {
        throw ValidationError("the kind \(SafeText.terminalSafe(kind.name)) is given twice")
      }
    }
    for (option, named) in [("--limit", Set(try limits().keys)), ("--rate", Set(try rates().keys))] {
      for kind in named where !kinds.contains(kind) {
        throw ValidationError(
          "\(option) names the kind \(SafeText.terminalSafe(kind.name)), which has no command")
      }
    }
  }

  /// The maximum numbers of running jobs, by kind.
  private func limits() throws -> [Kind: Int] {
    var limits: [Kind: Int] = [:]
    for text in limit {
      // A kind may contain an equals sign, a number cannot.
      guard let sign = text.lastIndex(of: "="), sign > text.startIndex,
        let most = Int(text[text.index(after: sign)...]),
        most >= 1
      else {
        throw ValidationError("--limit \(SafeText.terminalSafe(text)) is not KIND=NUMBER with 1 or more")
      }
      guard limits.updateValue(most, forKey: Kind(String(text[..<sign]))) == nil else {
        throw ValidationError("--limit \(SafeText.terminalSafe(text)) is the second one of its kind")
      }
    }
    return limits
  }

  /// The rates, by kind.
  private func rates() throws -> [Kind: RateLimit] {
    var rates: [Kind: RateLimit] = [:]
    for text in rate {
      // A kind may contain an equals sign, a rate cannot.
      guard let sign = text.lastIndex(of: "="), sign > text.startIndex else {
        throw ValidationError(
          "--rate \(SafeText.terminalSafe(text)) is not KIND=NUMBER/DURATION with 1 or more, such as mail=10/1s"
        )
      }
      let kind = Kind(String(text[..<sign]))
      let limit: RateLimit
      do throws(QudoError) {
        limit = try RateLimit(parsing: String(text[text.index(after: sign)...]))
        try JobPolicy(rate: limit).check(kind)
      } catch {
        throw ValidationError(
          "--rate \(SafeText.terminalSafe(text)): \(SafeText.terminalSafe(error.message))")
      }
      guard rates.updateValue(limit, forKey: kind) == nil else {
        throw ValidationError("--rate \(SafeText.terminalSafe(text)) is the second one of its kind")
      }
    }
    return rates
  }

  private static func parse(_ text: String) throws -> (kind: Kind, template: CommandTemplate) {
    var (kind, rest) = ("", Substring(text).unicodeScalars)
    while let scalar = rest.popFirst(), scalar != "=" {
      // A backslash lets the kind contain an equals sign.
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
    let (limits, rates) = (try limits(), try rates())
    return try commands.map { text in
      let (kind, template) = try Self.parse(text)
      var policy = policy.policy(for: kind)
      policy.maxRunning = limits[kind]
      policy.rate = rates[kind]
      return JobHandler(kind, policy: policy) { context in
        do {
          try await stop.commands.run { try await CommandRun.perform(template, context) }
        } catch let lost as LostOutput {
          // The output is part of the job. Since it is lost, the job must run again, perhaps on another
          // worker.
          stop.outputLost(lost.cause)
          throw Snooze(for: .zero)
        } catch let shortage as ResourceExhaustion {
          shortages.add(shortage, context.logger)
          throw Snooze(for: ResourceExhaustion.pause)
        } catch let ended as EndedBySignal {
          if await stop.isRequested(within: EndedBySignal.timeout) { throw Snooze(for: .zero) }
          throw CommandError(ended.message)
        }
      }
    }
  }

  private var options: WorkerOptions {
    var options = WorkerOptions()
    options.concurrency = concurrency
    options.shutdownGracePeriod = grace ?? .seconds(10)
    // A stopped command may take `killDelay`; forwarding its output takes a moment more.
    options.cancellationGracePeriod = CommandRun.killDelay + .seconds(5)
    options.retention = retention.retention
    // A command that even SIGKILL does not end, as on a disk that hangs, keeps its slot. Without slots the process is of no use.
    options.maxStuckSlots = concurrency
    options.logger = Logger(label: "qudo") { _ in StandardErrorLog() }
    options.logger.logLevel = verbose ? .info : .warning
    return options
  }

  /// The status text that a service manager shows for a running worker.
  private var status: String {
    let kinds = commands.compactMap { try? Self.parse($0).kind.name }.joined(separator: ", ")
    return "looking for jobs of \(SafeText.terminalSafe(kinds, limit: 200))"
  }

  func run() async throws {
    let service = ServiceManager.take()
    let stop = ShutdownController()
    let timer = TimerDescriptor()
    defer { timer.close() }
    await timer.open()
    let failed = try await database.use(durability: durability.durability, create: true, fleet) { databases in
      var options = options
      let pulse = service.map { service in WorkerPulse { service.notify("READY=1", "STATUS=\(status)") } }
      options.pulse = pulse
      let worker = try Worker(
        Queue(databases), handlers: handlers(stop), plugins: [Schedules()], options: options)
      // Watch for signals before claiming: an early signal, or a failure to watch, must not leave jobs
      // claimed.
      try Signals.watch(Signals.ending + (OwnChildren.mustReap ? [SIGCHLD] : [])) { [verbose] number in
        if number == SIGCHLD {
          Task { await OwnChildren.only.reapOthers() }
          return
        }
        guard stop.request() == 1 else { return }
        service?.stopping("stopping: running commands may finish within the grace period")
        if verbose {
          printError(
            "stopping: running commands may finish within the grace period; a second signal stops them")
        }
      }
      let (untilEmpty, skipDelayed) = (untilEmpty, skipDelayed)
      let work = Task { () async throws -> WorkSummary in
        untilEmpty ? try await worker.workUntilEmpty(skipDelayed: skipDelayed) : try await worker.work()
      }
      stop.attach(work)
      let others = OtherKinds(databases, own: worker.kinds)
      let watch = Task { await others.watch() }
      defer { watch.cancel() }
      let watchdog = Task { if let service, let pulse { await service.watch(pulse) } }
      defer { watchdog.cancel() }
      let summary = try await work.value
      service?.stopping("done")
      watch.cancel()
      await watch.value
      if untilEmpty { await others.look() }
      printError(summary.line)
      guard summary.unreachable.isEmpty || !untilEmpty else {
        throw CommandError(
          "cannot tell whether jobs are left: these databases are unavailable: \(summary.unreachable.map { SafeText.terminalSafe($0) }.joined(separator: ", "))"
        )
      }
      return summary.failedForGood
    }
    if let error = stop.lostOutput { throw error }
    if fail, failed > 0 { throw ExitCode.failure }
  }
}
