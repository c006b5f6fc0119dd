internal import ArgumentParser
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
    commandName: "qudo", abstract: "Jobs in one SQLite file, without a server.",
    discussion: "Exit status: 0 done, 1 failed, 64 wrong usage.",
    subcommands: [Enqueue.self, Work.self, Count.self, Demo.self])
}
