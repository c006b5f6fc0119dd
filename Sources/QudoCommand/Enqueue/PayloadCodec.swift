internal import ArgumentParser
internal import Qudo

/// The codec that a payload is stored under.
enum PayloadCodec: String, CaseIterable, ExpressibleByArgument {
  case json, raw

  /// - Parameters:
  ///   - chosen: the codec asked for; nil for JSON if the payload is JSON, else raw bytes.
  ///   - line: the payload's line in the input, for the error.
  static func id(of payload: [UInt8], chosen: PayloadCodec?, line: Int? = nil) throws(CommandError) -> CodecID
  {
    if chosen == .raw { return .raw }
    guard let fault = JSONScanner.fault(in: payload) else { return .json }
    guard chosen == .json else { return .raw }
    let what = line.map { "line \($0)" } ?? "the payload"
    throw CommandError("\(what) is not JSON: at byte \(fault.byte), \(fault.problem)")
  }
}
