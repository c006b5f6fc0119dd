internal import Logging

/// A log handler that prints each event as a line on standard error.
struct StandardErrorLog: LogHandler {
  var logLevel = Logger.Level.warning
  var metadata: Logger.Metadata = [:]

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
    let error = all["error"].map { ": " + SafeText.terminalSafe("\($0)", limit: 500) } ?? ""
    let rest = all.filter { $0.key != "error" }.sorted { $0.key < $1.key }
      .map { "\($0.key) \(SafeText.terminalSafe("\($0.value)", limit: 200))" }
    printError("\(event.message)\(error)\(rest.isEmpty ? "" : " (\(rest.joined(separator: ", ")))")")
  }
}
