#if Dashboard
internal import HTTPTypes
internal import NIOCore
internal import NIOHTTPTypes

/// Closes a connection that holds a place and does not use it: a request that does not arrive whole, or an answer that nobody takes.
///
/// Hummingbird's idle timeout closes a connection that sends no request, or only a part of its headers. It does not cover these two cases:
/// each part of a body restarts it, and it ignores answers.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  private let requestTime: TimeAmount
  private let answerTime: TimeAmount
  private var requestDeadline: Scheduled<Void>?
  private var answerDeadline: Scheduled<Void>?
  /// The parts of answers that the client's side of the connection has not taken.
  private var unsent = 0
  /// Whether the answer says that the connection ends with it.
  private var isLastAnswer = false

  /// - Parameters:
  ///   - requestTime: How long the rest of a request may take, from the end of its headers.
  ///   - answerTime: How long a client may take nothing while there is something to take.
  init(requestTime: TimeAmount, answerTime: TimeAmount) {
    (self.requestTime, self.answerTime) = (requestTime, answerTime)
  }

  func handlerRemoved(context: ChannelHandlerContext) { cancel() }

  func channelInactive(context: ChannelHandlerContext) {
    cancel()
    context.fireChannelInactive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head:
      requestDeadline?.cancel()
      requestDeadline = closing(context, in: requestTime)
    case .body: break
    case .end:
      requestDeadline?.cancel()
      requestDeadline = nil
    }
    context.fireChannelRead(data)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let part = unwrapOutboundIn(data)
    if case .head(let head) = part { isLastAnswer = head.headerFields[.connection] == "close" }
    let isEnd = if case .end = part { isLastAnswer } else { false }
    unsent += 1
    if answerDeadline == nil { answerDeadline = closing(context, in: answerTime) }
    let promise = promise ?? context.eventLoop.makePromise()
    promise.futureResult.assumeIsolated().whenComplete { result in
      self.unsent -= 1
      self.answerDeadline?.cancel()
      self.answerDeadline = nil
      guard case .success = result else { return }
      if self.unsent > 0 { self.answerDeadline = self.closing(context, in: self.answerTime) }
      // The client may still send its request, and would lose the answer if the connection ended now: the deadline of the request ends it.
      if isEnd { context.close(mode: .output, promise: nil) }
    }
    context.write(data, promise: promise)
  }

  private func closing(_ context: ChannelHandlerContext, in time: TimeAmount) -> Scheduled<Void> {
    context.eventLoop.assumeIsolated().scheduleTask(in: time) { context.close(promise: nil) }
  }

  private func cancel() {
    requestDeadline?.cancel()
    answerDeadline?.cancel()
    (requestDeadline, answerDeadline) = (nil, nil)
  }
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}
#endif
