/// A driver that looks for what is wrong with its database, and says what to do about it.
///
/// `qudo doctor` prints what it finds. For example, a program can log it at its start:
///
///     for finding in try await driver.diagnose().findings where finding.severity > .note {
///       logger.warning("\(finding.message): \(finding.advice)")
///     }
public protocol DiagnosingDriver: Driver {
  /// Looks for what is wrong, and changes nothing.
  ///
  /// It reads by indexes, and a bounded number of rows, so its cost does not grow with the number of waiting jobs, unless
  /// ``DiagnosisOptions/checksIntegrity`` is set.
  ///
  /// - Throws: ``QudoError`` if the database cannot be reached or read at all. What is wrong with a database that can be
  ///   reached is a ``Finding``.
  func diagnose(_ options: DiagnosisOptions) async throws(QudoError) -> Diagnosis
}

extension DiagnosingDriver {
  /// Looks for what is wrong, with the default options.
  public func diagnose() async throws(QudoError) -> Diagnosis { try await diagnose(DiagnosisOptions()) }
}

/// The limits of a diagnosis.
public struct DiagnosisOptions: Hashable, Sendable {
  /// Whether to read the whole database and check that it is sound, which takes seconds per gigabyte. Meanwhile no
  /// checkpoint completes, and the WAL of a busy file grows. Servers ignore it. Default: false.
  public var checksIntegrity = false
  /// The time that a ready job may wait before its kind is reported. Default: 10 minutes.
  public var maxWait: Duration = .seconds(600)
  /// The furthest that a due time may be ahead before the job is reported. Default: 366 days.
  public var maxDelay: Duration = .seconds(366 * 86_400)
  /// The bounds within which the workers keep the logs; nil for none. A log is reported if it exceeds the bound by a tenth
  /// or 100,000 rows, whichever is more, or has rows that are older by a day. Default: 14 days and 1,000,000 rows, as with
  /// ``WorkerOptions/retention``.
  public var retention: Retention? = Retention()

  /// Creates options with the defaults.
  public init() {}
}

/// One thing that a diagnosis found.
public struct Finding: Hashable, Sendable {
  /// The severity of a finding.
  public enum Severity: String, Hashable, Sendable, CaseIterable, Comparable {
    /// Worth knowing. Nothing need be done.
    case note
    /// Jobs wait, or a risk is taken, until something is done.
    case warning
    /// The database does not work as it is.
    case fault

    public static func < (a: Severity, b: Severity) -> Bool { a.rank < b.rank }
    private var rank: Int { self == .note ? 0 : self == .warning ? 1 : 2 }
  }

  /// The check that found it: a code that does not change, such as `wal` or `kind-idle`.
  public var check: String
  /// The severity.
  public var severity: Severity
  /// The kind or the schedule that it is about; nil if it is about the database.
  public var subject: String?
  /// The finding in words. It may contain names from the database: escape it before you show it on a terminal.
  public var message: String
  /// The advice, in words.
  public var advice: String
  /// The figures in the message: bytes, seconds, counts, process ids. Their names do not change.
  public var figures: [String: Int64]

  /// Creates a finding; for drivers.
  public init(
    _ check: String, _ severity: Severity, subject: String? = nil, _ message: String, advice: String,
    figures: [String: Int64] = [:]
  ) {
    self.check = check
    self.severity = severity
    self.subject = subject
    self.message = message
    self.advice = advice
    self.figures = figures
  }
}

extension Finding {
  /// Creates a finding from an error, whose message says what failed, then what to do.
  package init(_ check: String, _ severity: Severity, _ error: QudoError) {
    let bytes = Array(error.message.utf8)
    let colon = bytes.indices.last { bytes[$0...].starts(with: ": ".utf8) }
    self.init(
      check, severity, String(decoding: bytes[..<(colon ?? bytes.endIndex)], as: UTF8.self),
      advice: colon.map { String(decoding: bytes[($0 + 2)...], as: UTF8.self) } ?? "see the message")
  }
}

/// The result of a diagnosis of a database.
public struct Diagnosis: Hashable, Sendable {
  /// The database's name.
  public var database: String
  /// The findings, the worst first.
  public private(set) var findings: [Finding]
  /// The codes of the checks that were made, in the order in which they were made. A check that could not be made is
  /// missing: if a file is not a database, nothing is known about its jobs.
  public private(set) var checks: [String]
  /// The names of the schedules.
  public private(set) var schedules: [String]

  /// Creates a diagnosis; for drivers.
  public init(_ database: String, findings: [Finding] = [], checks: [String] = [], schedules: [String] = []) {
    self.database = database
    self.findings = findings
    self.checks = checks
    self.schedules = schedules
    sort()
  }

  /// The severity of the worst finding; nil if nothing was found.
  public var severity: Finding.Severity? { findings.map(\.severity).max() }

  /// Adds what a check found.
  public mutating func add(_ check: String, _ found: [Finding]) {
    if !checks.contains(check) { checks.append(check) }
    findings += found
    sort()
  }

  /// Notes that several databases have a schedule of the same name: each of them enqueues the jobs of its ticks.
  public static func compareSchedules(_ all: inout [Diagnosis]) {
    guard all.count > 1 else { return }
    var places: [String: [Int]] = [:]
    for (index, diagnosis) in all.enumerated() {
      for name in diagnosis.schedules { places[name, default: []].append(index) }
    }
    let names = all.map(\.database)
    for index in all.indices where all[index].checks.contains("schedules") {
      let found = all[index].schedules.compactMap { schedule -> Finding? in
        guard let indices = places[schedule], indices.count > 1 else { return nil }
        let others = indices.lazy.filter { $0 != index }.map { names[$0] }.joined(separator: ", ")
        return Finding(
          "schedule-twice", .warning, subject: schedule,
          "the schedule \(schedule) is also in \(others): each tick enqueues a job in each of them",
          advice: "remove it from all databases but one (qudo schedule remove)",
          figures: ["databases": Int64(indices.count)])
      }
      all[index].add("schedule-twice", found.capped("schedules"))
    }
  }

  private mutating func sort() {
    // Stable: within a severity, in the order of the checks.
    let order = findings.enumerated().sorted {
      ($1.element.severity, $0.offset) < ($0.element.severity, $1.offset)
    }
    findings = order.map(\.element)
  }
}

extension [Finding] {
  /// The number of findings of one check that are worth reading.
  private static var most: Int { 20 }

  /// Returns the first findings of one check, and the number of the others.
  ///
  /// - Parameter what: What each of them is about, in the plural.
  package func capped(_ what: String) -> [Finding] {
    guard count > Self.most + 1, var last = self[Self.most...].max(by: { $0.severity < $1.severity }) else {
      return self
    }
    let rest = count - Self.most
    last.subject = nil
    last.message = "the same holds for \(rest) other \(what)"
    last.figures = [what: Int64(rest)]
    return prefix(Self.most) + [last]
  }
}
