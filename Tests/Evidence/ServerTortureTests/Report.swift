#if MySQL
import Foundation

/// The figures of a torture, as a table with a row for each sort of fault.
struct Report: CustomStringConvertible {
  var records: [FaultRecord] = []
  /// Of the time after the faults, until all was done.
  var last = FaultRecord(fault: .workersKilled, server: "", from: 0)
  var acknowledged = 0
  var refused: [String: Int] = [:]
  var longestEnqueue = 0.0
  /// Workers of one database that an error has ended.
  var ended: [String: Int] = [:]
  var runs = 0
  var repeated = 0
  /// How often each control verb was acknowledged.
  var controls: [String: Int] = [:]
  var uncontrolled: [String: Int] = [:]
  /// How the acknowledged jobs have ended.
  var ends: [String: Int] = [:]

  var waits: [Double] { records.flatMap(\.waits) + last.waits }

  static func milliseconds(_ seconds: Double) -> String { String(Int((seconds * 1000).rounded())) }

  static func shares(_ waits: [Double]) -> [String] {
    let sorted = waits.sorted()
    guard let longest = sorted.last else { return ["-", "-", "-"] }
    return [sorted[(sorted.count - 1) / 2], sorted[(sorted.count - 1) * 99 / 100], longest].map(milliseconds)
  }

  var description: String {
    var rows = [["fault", "times", "strikes", "broken", "waits", "p50 ms", "p99 ms", "max ms"]]
    for fault in Fault.allCases {
      let records = records.filter { $0.fault == fault }
      guard !records.isEmpty else { continue }
      rows.append(row(fault.rawValue, records))
    }
    rows.append(row("all", records))
    rows.append(row("until all is done", [last]))
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    let lines = rows.map { row in
      zip(row, widths).enumerated().map { index, cell in
        let padding = String(repeating: " ", count: cell.1 - cell.0.count)
        return index == 0 ? cell.0 + padding : padding + cell.0
      }.joined(separator: "  ")
    }
    return lines.joined(separator: "\n") + """

      \(acknowledged) jobs acknowledged, enqueues refused: \(Self.counts(refused)); longest enqueue \(Self.milliseconds(longestEnqueue)) ms; \(runs) \
      runs, \(repeated) of them again; workers of one database that an error has ended: \(Self.counts(ended))
      control verbs acknowledged: \(Self.counts(controls)), failed: \(Self.counts(uncontrolled)); acknowledged jobs by their ends: \
      \(Self.counts(ends))
      """
  }

  private static func counts(_ counts: [String: Int]) -> String {
    let parts = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    return "\(counts.values.reduce(0, +))\(parts.isEmpty ? "" : " (\(parts))")"
  }

  private func row(_ name: String, _ records: [FaultRecord]) -> [String] {
    let waits = records.flatMap(\.waits)
    return [
      name, "\(records.count)", "\(records.reduce(0) { $0 + $1.strikes })",
      "\(records.reduce(0) { $0 + $1.broken.count })", "\(waits.count)",
    ] + Self.shares(waits)
  }
}
#endif
