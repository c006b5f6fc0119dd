internal import ArgumentParser
internal import Logging
internal import Qudo
internal import QudoSQLite

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

@main
struct QudoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "qudo", abstract: "Enqueue and run durable jobs, in a SQLite file or on servers.",
    discussion: """
      Enqueue jobs of a kind, and run a command for each of them:

        find . -name '*.jpg' | qudo enqueue thumb --lines
        qudo work thumb='convert {} -resize 200x {}.png' --until-empty

      See what is waiting and what failed, and retry:

        qudo top
        qudo count
        qudo jobs --kind thumb --state ready
        qudo failures
        qudo replay 17

      With several databases, an enqueue goes to an available one, a worker runs the jobs of all, and every listing names the database:

        qudo work thumb='...' --database local.db --database /mnt/other/far.db
        qudo databases --database local.db --database /mnt/other/far.db

      Every listing has --json, which prints one JSON array. Results go to standard output, everything else to \
      standard error. Write durations as 500ms, 90s, 1h30m or 2d; a bare number is in seconds.

      Exit status: 0 done, 1 failed, 64 wrong usage, 75 no database can be reached (it cannot be opened, or is busy). If \
      one of several databases is down, a listing shows the others, names the one that is down, and exits with 1.
      """,
    version: "qudo \(QudoRelease.version), SQLite \(SQLiteDriver.libraryVersion)",
    subcommands: [
      Enqueue.self, Work.self, TopCommand.self, Serve.self, Count.self, DatabasesCommand.self, Doctor.self,
      Health.self,
      MetricsCommand.self,
      Jobs.self, Show.self, Failures.self,
      Statuses.self, Wait.self, Replay.self, Resolve.self, Cancel.self, Change.self, Recover.self,
      PauseCommand.self, Resume.self, Pauses.self, Keys.self, ScheduleCommand.self, Prune.self,
      Import.self,
      Compact.self, BackupCommand.self, RestoreCommand.self, Schema.self,
      Demo.self, BenchCommand.self, BenchProcess.self, GuardProcess.self,
    ])

  static func main() async {
    // Ignore SIGPIPE, so that a closed pipe is an error of `write` and running commands are not orphaned.
    signal(SIGPIPE, SIG_IGN)
    // A parent that ignores SIGCHLD passes that on: "If the disposition of SIGCHLD is set to ignored, [...]
    // the status is discarded": waitid(2).
    signal(SIGCHLD, SIG_DFL)
    if OwnChildren.mustReap {
      // "Only signals for which the init process has established a signal handler can be sent" to it:
      // pid_namespaces(7).
      for number in [SIGTERM, SIGINT] { signal(number) { _exit(128 + $0) } }
    }
    // Drivers log to the terminal through this handler too.
    LoggingSystem.bootstrap { _ in StandardErrorLog() }
    do {
      try ThreadLimit.check()
      var command = try parseAsRoot(Array(StartArguments.checked().dropFirst()))
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      Exit.leave(with: error)
    }
  }
}
