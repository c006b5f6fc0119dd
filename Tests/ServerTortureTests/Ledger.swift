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

  private(set) var acknowledged: Set<String> = []
  /// Jobs that a completed run has left behind.
  private(set) var owed: Set<String> = []
  private(set) var ran: Set<String> = []
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
      acknowledged.insert(String(words[1]))
      name(words[1], "\(words[4])/\(words[5])")
    case ("answered", 3): try addEnqueue(words[1], words[2])
    case ("refused", 4):
      refused[String(words[1]), default: 0] += 1
      try addEnqueue(words[2], words[3])
    case ("ended", 4): ended[String(words[1]), default: 0] += 1
    case ("run", 7):
      runCount += 1
      ran.insert(String(words[1]))
      let job = "\(words[3])/\(words[4])"
      name(words[1], job)
      if words[6] == "replaced" { owed.insert("\(words[1])-next") }
      guard let time = UInt64(words[2]) else { throw Unreadable(line: words.joined(separator: " ")) }
      runs[job, default: []].append(
        Run(job: job, time: time, token: String(words[5]), worker: number, isLast: words[6] != "again"))
    default: throw Unreadable(line: words.joined(separator: " "))
    }
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
  /// - Returns: how many there are, and those that no fault explains: its worker was not killed, no fault of its database lay between a
  ///   lease before the first run and the second, and the lease cannot have expired.
  func repeated(_ records: [FaultRecord], killed: [Int: UInt64], lease: Double) -> (
    count: Int, unexplained: [String]
  ) {
    let length = UInt64(lease * 1e9)
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
        if !wasKilled, !hadFault, second.time - first.time < length {
          unexplained.append("\(first.job) ran again \(Double(second.time - first.time) / 1e9) s later")
        }
      }
    }
    return (count, unexplained)
  }
}
#endif
