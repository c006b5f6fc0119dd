#if Dashboard
import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import QudoDashboard

/// Connections that hold a place and do not use it.
@Suite struct ConnectionGuardTests {
  /// The client's side of a connection: what it takes, and how it sees the connection end.
  private final class Client: ChannelOutboundHandler {
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    var takes = true
    private var waiting: [EventLoopPromise<Void>?] = []
    private(set) var closes: [CloseMode] = []

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
      if takes { promise?.succeed(()) } else { waiting.append(promise) }
    }
    func flush(context: ChannelHandlerContext) {}
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
      closes.append(mode)
      promise?.succeed(())
    }
    func takeOne() { waiting.removeFirst()?.succeed(()) }
    func vanish() {
      for promise in waiting { promise?.fail(ChannelError.ioOnClosedChannel) }
      waiting = []
    }
  }

  private let client = Client()
  private let channel = EmbeddedChannel()

  init() throws {
    try channel.pipeline.syncOperations.addHandlers([
      client, ConnectionGuard(requestTime: .seconds(12), answerTime: .seconds(15)),
    ])
  }

  private func receive(_ parts: HTTPRequestPart...) throws {
    for part in parts { try channel.writeInbound(part) }
  }
  private func answer(_ parts: HTTPResponsePart...) {
    for part in parts { channel.writeAndFlush(part, promise: nil) }
  }
  private func pass(_ seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }

  private static let head = HTTPRequestPart.head(
    HTTPRequest(method: .post, scheme: "http", authority: "a", path: "/change"))
  private static let body = HTTPRequestPart.body(ByteBuffer(string: "x"))

  @Test("a request that trickles ends at its deadline, however often something comes") func trickle() throws {
    try receive(Self.head)
    for _ in 0..<11 {
      pass(1)
      try receive(Self.body)
    }
    #expect(client.closes.isEmpty)
    pass(1)
    #expect(client.closes == [.all])
  }

  @Test("a request that is whole has all the time, and the next one a deadline of its own") func whole()
    throws
  {
    try receive(Self.head, Self.body, .end(nil))
    pass(600)
    #expect(client.closes.isEmpty)
    answer(.head(HTTPResponse(status: .ok)), .end(nil))
    pass(600)
    #expect(client.closes.isEmpty, "that is for the idle timeout")
    try receive(Self.head)
    pass(12)
    #expect(client.closes == [.all])
  }

  @Test("an answer that is not taken ends the connection, and one that is taken slowly does not")
  func stalled()
    throws
  {
    try receive(Self.head, .end(nil))
    client.takes = false
    answer(.head(HTTPResponse(status: .ok)), .body(ByteBuffer(string: "a")), .body(ByteBuffer(string: "b")))
    pass(14)
    client.takeOne()
    pass(14)
    client.takeOne()
    pass(14)
    #expect(client.closes.isEmpty)
    pass(1)
    #expect(client.closes == [.all])
    client.vanish()
    pass(600)
    #expect(client.closes == [.all], "once")
  }

  @Test("a stream without news is no stalled one") func quiet() throws {
    try receive(Self.head, .end(nil))
    answer(.head(HTTPResponse(status: .ok)), .body(ByteBuffer(string: "a")))
    pass(3600)
    #expect(client.closes.isEmpty)
  }

  @Test(
    "an answer that ends the connection does so once it is taken, and the rest of the request is read until then"
  )
  func last() throws {
    try receive(Self.head, Self.body)
    client.takes = false
    var head = HTTPResponse(status: .contentTooLarge)
    head.headerFields[.connection] = "close"
    answer(.head(head), .end(nil))
    #expect(client.closes.isEmpty)
    client.takeOne()
    client.takeOne()
    #expect(client.closes == [.output])
    try receive(Self.body)
    pass(12)
    #expect(client.closes == [.output, .all])
  }
}
#endif
