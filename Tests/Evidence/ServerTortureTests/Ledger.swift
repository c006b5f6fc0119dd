#if MySQL
import Foundation

/// What the processes have written down, put together.
struct Ledger {
  struct Run {
    let job: String
    let time: UInt64
    let token: String
    /// The number of the worker.
    let worker: Int
    /// The job had no further run to come.
    let isLast: Bool
  }

  /// Of a controller: what it was answered, and the server's time after that.
  struct Control {
    let verb: String
    let job: String
    let time: Int64
    /// When the job expires, if the verb is `expires`.
    let end: Int64?
  }

  /// A time in which a kind, or everything, was paused.
  struct Pause {
    let database: String
    /// `*` for everything.
    let kind: String
    /// By the server's clock: from when it was acknowledged until it ends by itself.
    let from: Int64
    let end: Int64
    /// By the machine's clock: nobody has resumed it by then.
    let last: UInt64
  }

  /// A run that began.
  struct Begin {
    let name: String
    let job: String
    /// By the machine's clock.
    let time: UInt64
    /// When the job was claimed, by the server's clock.
    let claimed: Int64
    let kind: String
    let isChanged: Bool

    var database: Substring { job.prefix { $0 != "/" } }
  }

  /// By the job's number in its database: its name.
  private(set) var acknowledged: [String: String] = [:]
  private(set) var controls: [Control] = []
  private(set) var pauses: [Pause] = []
  private(set) var begins: [Begin] = []
  /// Errors of control verbs.
  private(set) var uncontrolled: [String: Int] = [:]
  /// By the job's number in its database.
  private(set) var runs: [String: [Run]] = [:]
  private(set) var runCount = 0
  /// What each enqueue took, in seconds, and when it was answered.
  private(set) var enqueues: [(took: Double, time: UInt64)] = []
  private(set) var refused: [String: Int] = [:]
  /// Workers of one database that an error of the database has ended, by its code.
  private(set) var ended: [String: Int] = [:]
  /// Ids that two jobs have got.
  private(set) var reused: [String] = []
  private var names: [String: Substring] = [:]

  init(_ folder: URL) throws {
    for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    where file.pathExtension == "log" {
      guard let number = Int(file.deletingPathExtension().lastPathComponent) else { continue }
      let text = try String(contentsOf: file, encoding: .utf8)
      // A line that the kill cut off has no end.
      for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
        try read(line.split(separator: " "), of: number)
      }
    }
    for job in runs.keys { runs[job]?.sort { $0.time < $1.time } }
  }

  private struct Unreadable: Error {
    let line: String
  }

  private mutating func read(_ words: [Substring], of number: Int) throws {
    switch (words.first, words.count) {
    case ("ack", 6):
      acknowledged["\(words[4])/\(words[5])"] = String(words[1])
      name(words[1], "\(words[4])/\(words[5])")
    case ("answered", 3): try addEnqueue(words[1], words[2])
    case ("refused", 4):
      refused[String(words[1]), default: 0] += 1
      try addEnqueue(words[2], words[3])
    case ("ended", 4): ended[String(words[1]), default: 0] += 1
    case ("run", 7):
      runCount += 1
      let job = "\(words[3])/\(words[4])"
      name(words[1], job)
      guard let time = UInt64(words[2]) else { throw Unreadable(line: words.joined(separator: " ")) }
      runs[job, default: []].append(
        Run(job: job, time: time, token: String(words[5]), worker: number, isLast: words[6] != "again"))
    case ("uncontrolled", 2): uncontrolled[String(words[1]), default: 0] += 1
    default:
      guard readBegin(words) || readControl(words) else {
        throw Unreadable(line: words.joined(separator: " "))
      }
    }
  }

  private mutating func readBegin(_ words: [Substring]) -> Bool {
    guard words.count == 9, words[0] == "begin", let time = UInt64(words[2]), let claimed = Int64(words[6])
    else {
      return false
    }
    name(words[1], "\(words[3])/\(words[4])")
    begins.append(
      Begin(
        name: String(words[1]), job: "\(words[3])/\(words[4])", time: time, claimed: claimed,
        kind: String(words[7]), isChanged: words[8] == "changed"))
    return true
  }

  private static let verbs: Set<Substring> = [
    "cancelled", "cancelling", "changed", "moved", "expires", "recovering", "recovered",
  ]

  private mutating func readControl(_ words: [Substring]) -> Bool {
    if words.count == 6, words[0] == "paused", let from = Int64(words[3]), let end = Int64(words[4]),
      let last = UInt64(words[5])
    {
      pauses.append(
        Pause(database: String(words[1]), kind: String(words[2]), from: from, end: end, last: last))
      return true
    }
    guard words.count >= 4, Self.verbs.contains(words[0]), let time = Int64(words[3]) else { return false }
    let end = words.count == 5 ? Int64(words[4]) : nil
    guard (words[0] == "expires") == (end != nil) else { return false }
    controls.append(
      Control(verb: String(words[0]), job: "\(words[1])/\(words[2])", time: time, end: end))
    return true
  }

  // MARK: What a controller was told

  /// What runs did after a control verb was acknowledged, or in a pause, that it rules out. A claim that began after the
  /// acknowledgement, by the server's clock, has seen what was acknowledged.
  func disobedient() -> [String] {
    var byJob: [String: [Control]] = [:]
    for control in controls { byJob[control.job, default: []].append(control) }
    var wrong: [String] = []
    for begin in begins {
      for control in byJob[begin.job] ?? [] where begin.claimed > control.time {
        switch control.verb {
        case "cancelled":
          wrong.append("\(begin.job) was cancelled at \(control.time) and claimed at \(begin.claimed)")
        case "changed" where !begin.isChanged:
          wrong.append(
            "\(begin.job) was changed at \(control.time) and ran unchanged, claimed at \(begin.claimed)")
        case "expires":
          guard let end = control.end, begin.claimed >= end else { break }
          wrong.append("\(begin.job) expired at \(end) and was claimed at \(begin.claimed)")
        default: break
        }
      }
      // One that began before the kind was resumed was claimed before that.
      for pause in pauses
      where pause.database == begin.database && (pause.kind == "*" || pause.kind == begin.kind)
        && pause.from < begin.claimed && begin.claimed < pause.end && begin.time < pause.last
      {
        wrong.append(
          "\(begin.job) of the kind \(begin.kind) was claimed at \(begin.claimed), in the pause from \(pause.from)"
        )
      }
    }
    return wrong
  }

  /// How often each control verb was acknowledged.
  var controlCounts: [String: Int] {
    var counts = Dictionary(controls.map { ($0.verb, 1) }, uniquingKeysWith: +)
    counts["paused"] = pauses.count
    return counts
  }

  private mutating func addEnqueue(_ time: Substring, _ took: Substring) throws {
    guard let time = UInt64(time), let took = UInt64(took) else { throw Unreadable(line: "\(time) \(took)") }
    enqueues.append((Double(took) / 1e9, time))
  }

  private mutating func name(_ name: Substring, _ job: String) {
    if let other = names.updateValue(name, forKey: job), other != name {
      reused.append("\(job) is \(other) and \(name)")
    }
  }

  /// Runs after one that should have been the last.
  ///
  /// - Returns: how many there are, and those that no fault explains: its worker was not killed, nobody recovered the
  ///   job, no fault of its database lay between a lease before the first run and the second, and the lease cannot have expired.
  func repeated(_ records: [FaultRecord], killed: [Int: UInt64], lease: Double) -> (
    count: Int, unexplained: [String]
  ) {
    let length = UInt64(lease * 1e9)
    // By force, or perhaps, if no answer came: the run's outcome may have come too late.
    let recovered = Set(controls.lazy.filter { $0.verb == "recovering" }.map(\.job))
    var count = 0
    var unexplained: [String] = []
    for runs in runs.values {
      for (first, second) in zip(runs, runs.dropFirst()) where first.isLast {
        count += 1
        let wasKilled = killed[first.worker].map { $0 > first.time && $0 < second.time } ?? false
        let hadFault = records.contains {
          first.job.hasPrefix("\($0.server)/") && $0.from < second.time
            && $0.to > first.time - min(first.time, length)
        }
        if !wasKilled, !hadFault, !recovered.contains(first.job), second.time - first.time < length {
          unexplained.append("\(first.job) ran again \(Double(second.time - first.time) / 1e9) s later")
        }
      }
    }
    return (count, unexplained)
  }
}
#endif
