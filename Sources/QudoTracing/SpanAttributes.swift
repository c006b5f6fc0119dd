#if Tracing
internal import Qudo
internal import Tracing

/// By OpenTelemetry's semantic conventions for messaging spans.
extension Span {
  func describe(_ context: JobContext) {
    updateAttributes { attributes in
      attributes["messaging.system"] = "qudo"
      // "One or more messages are processed by a consumer."
      attributes["messaging.operation.type"] = "process"
      attributes["messaging.operation.name"] = "process"
      attributes["messaging.destination.name"] = context.kind.name
      attributes["messaging.message.id"] = context.id.description
      attributes["messaging.message.body.size"] = context.payload.bytes.count
      // "Messaging system-specific attributes MUST be defined in the corresponding `messaging.{system}` namespace"
      attributes["messaging.qudo.database"] = context.database
      attributes["messaging.qudo.attempt"] = context.attempt
    }
  }

  /// A snooze is no failure.
  func note(_ error: any Error) {
    if error is Snooze {
      attributes["messaging.qudo.snoozed"] = true
      return
    }
    let cause = (error as? JobHandler.Failure)?.error ?? error
    recordError(cause)
    attributes["error.type"] = "\(type(of: cause))"
    setStatus(SpanStatus(code: .error, message: "\(cause)"))
  }
}
#endif
