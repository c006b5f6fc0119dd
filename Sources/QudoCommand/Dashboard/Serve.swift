internal import ArgumentParser
internal import Logging
internal import Qudo
internal import QudoSQLite

#if Dashboard
internal import QudoDashboard
#endif

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the queue as a web page, for users of this machine who have the token.",
    discussion: """
      Prints the page's address with a token to standard output, and serves until SIGINT or SIGTERM. Open the address once in each \
      browser: the token then leaves the address bar, and a cookie stays until the browser closes. Without the token, \
      the page shows nothing.

      The page only shows the queue, unless --allow-changes lets it replay, cancel and run jobs, and pause kinds and schedules. It is \
      sampled while a page is open, at most every 2 s and for at most 2 % of one core.

      It listens on the loopback address, which other machines cannot reach: from one of them, use a tunnel (ssh -L \
      7347:127.0.0.1:7347 HOST). With --allow-remote it listens on any --address, without encryption: put a proxy with TLS in \
      front of it.

        qudo serve --database jobs.db
        qudo serve --database jobs.db --allow-changes --port 8080
        qudo serve --database jobs.db --token-file /run/qudo/token

      Exit status: 0 after a signal, 1 if it cannot listen, 75 if no database can be reached when it starts.
      """)

  @OptionGroup var database: Database
  @Option(help: ArgumentHelp("The address to listen on: 127.0.0.1, ::1 or localhost.", valueName: "address"))
  var address = "127.0.0.1"
  @Option(help: ArgumentHelp("The port to listen on; 0 for any free one.", valueName: "port"))
  var port = 7347
  @Flag(help: "Let the page change the queue: replay, cancel, run now, pause, resume.") var allowChanges =
    false
  @Flag(help: "Listen on an address that other machines can reach. The page is not encrypted.")
  var allowRemote = false
  @Option(
    help: ArgumentHelp(
      "With --allow-remote, another name of the server in addresses of the page, such as that of a proxy. Repeat for several.",
      valueName: "name"))
  var host: [String] = []
  @Option(
    help: ArgumentHelp(
      "A file with the token, readable by its owner only. If it does not exist, it is created. The token is not printed then.",
      valueName: "file"))
  var tokenFile: String?

  func validate() throws {
    guard (0...65_535).contains(port) else { throw ValidationError("--port must be from 0 to 65535") }
    guard allowRemote || Self.isLoopback(address) else {
      throw ValidationError(
        "--address \(SafeText.terminalSafe(address)) can be reached by other machines, and the page is not encrypted. Use a tunnel to 127.0.0.1, or add --allow-remote"
      )
    }
    #if !Dashboard
    throw ValidationError("this build has no dashboard. Build it with --traits Dashboard")
    #endif
  }

  func run() async throws {
    #if Dashboard
    let token = try tokenFile.map { try TokenFile.token($0) } ?? Secret.randomText()
    let databases = try database.watch(
      DatabaseOpening(durability: .full, create: false, isListing: !allowChanges))
    do {
      try await start(databases, token)
      await databases.close()
    } catch {
      await databases.close()
      throw error
    }
    #endif
  }

  private static func isLoopback(_ address: String) -> Bool {
    if address == "localhost" || address == "::1" { return true }
    let parts = address.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }

  #if Dashboard
  private func start(_ databases: Databases, _ token: String) async throws {
    try await check(databases)
    if !Self.isLoopback(address) {
      printError(
        "warning: the page is not encrypted. Whoever can read the network can read the jobs and use the token: put a proxy with TLS in front of it"
      )
    }
    let (stops, stop) = AsyncStream.makeStream(of: Int32.self)
    try Signals.watch(Signals.ending) { [isFirst = Locked(true)] number in
      let wasFirst = isFirst.withLock { isFirst in
        defer { isFirst = false }
        return isFirst
      }
      if wasFirst { stop.yield(number) } else { Signals.die(of: number) }
    }
    var logger = Logger(label: "qudo") { _ in StandardErrorLog() }
    logger.logLevel = .error
    let server = DashboardServer(
      databases, allowsChanges: allowChanges, address: address, port: port, token: token,
      hosts: HostCheck(address: address, isLoopback: Self.isLoopback(address), names: host), logger: logger)
    let (address, tokenFile) = (address, tokenFile)
    do {
      try await server.run {
        for await _ in stops { return }
      } started: { port in
        let page = "http://\(address.contains(":") ? "[\(address)]" : address):\(port)/"
        do {
          try Output.line(tokenFile == nil ? "\(page)?token=\(token)" : page)
        } catch {
          printError("\(error)")
        }
      }
    } catch {
      throw CommandError(
        "cannot listen on \(SafeText.terminalSafe(address)) port \(port): \(error). Choose another --port, or end what uses it"
      )
    }
  }

  /// Fails if none of the databases can be reached.
  private func check(_ databases: Databases) async throws {
    let answers = await databases.forEachDriver { driver throws(QudoError) in driver.name }
    var failure: QudoError?
    for answer in answers {
      guard case .failure(let error) = answer.result else { return }
      failure = failure ?? error
    }
    if let failure { throw failure }
  }
  #endif
}
