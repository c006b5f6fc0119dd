#if Dashboard
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
package import Logging
internal import NIOCore
package import Qudo
internal import ServiceLifecycle

/// The server of `qudo serve`.
package struct DashboardServer: Sendable {
  /// The number of connections at a time. Browsers keep some open for each page.
  private static let maxConnections = 128
  /// How long a connection may be idle, and how long the headers of a request may take.
  private static let idleTime = TimeAmount.seconds(15)
  /// How long the rest of a request may take: longer than a form gets, so that its sender learns why.
  private static let requestTime = TimeAmount.seconds(12)
  /// How long a client may take nothing of its answer.
  private static let answerTime = TimeAmount.seconds(15)

  private let databases: Databases
  private let options: DashboardOptions
  private let address: String
  private let port: Int
  private let token: String
  private let hosts: HostCheck
  private let logger: Logger

  /// - Parameters:
  ///   - address: The address to listen on.
  ///   - port: The port to listen on; 0 for a free one.
  ///   - token: The token that a browser must show once.
  package init(
    _ databases: Databases, allowsChanges: Bool, address: String, port: Int, token: String, hosts: HostCheck,
    logger: Logger
  ) {
    self.databases = databases
    var options = DashboardOptions()
    options.allowsChanges = allowsChanges
    self.options = options
    (self.address, self.port, self.token, self.hosts, self.logger) = (address, port, token, hosts, logger)
  }

  /// Serves until `stop` returns.
  ///
  /// - Parameters:
  ///   - stop: Returns when the server must end, or its task is cancelled. Open pages are notified.
  ///   - started: Called with the port once the server listens.
  /// - Throws: The error of a port that cannot be used.
  package func run(stop: @escaping @Sendable () async -> Void, started: @escaping @Sendable (Int) -> Void)
    async throws
  {
    let site = Site(databases, options, access: .token(token, hosts), port: port)
    let router = Router()
    Dashboard(site).addRoutes(to: router)
    let responder = SiteResponder(site: site)
    router.get("**") { request, _ in await responder.respond(request, page: "**", base: "") }
    let app = Application(
      router: router,
      server: .http1(
        configuration: HTTP1Channel.Configuration(
          additionalChannelHandlers: [
            ConnectionGuard(requestTime: Self.requestTime, answerTime: Self.answerTime)
          ],
          idleTimeout: Self.idleTime,
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: 16_384, maxHeaderListSize: 32_768, maxHeaderFieldCount: 100))),
      configuration: ApplicationConfiguration(
        address: .hostname(address, port: port), serverName: nil,
        availableConnectionsDelegate: MaximumAvailableConnections(Self.maxConnections)),
      onServerRunning: { channel in started(channel.localAddress?.port ?? port) },
      logger: logger)
    var configuration = ServiceGroupConfiguration(services: [app], logger: logger)
    // A request that does not end, because its sender is gone, is not waited for.
    configuration.maximumGracefulShutdownDuration = .seconds(3)
    let group = ServiceGroup(configuration: configuration)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        await stop()
        await site.end()
        await group.triggerGracefulShutdown()
      }
      defer { tasks.cancelAll() }
      do { try await group.run() } catch is CancellationError {}
    }
  }
}
#endif
