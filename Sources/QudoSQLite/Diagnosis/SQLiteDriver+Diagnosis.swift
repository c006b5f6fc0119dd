internal import Dispatch
internal import Logging
public import Qudo

extension SQLiteDriver: DiagnosingDriver {
  /// Looks for what is wrong with the file, with its place, its settings and its jobs: see <doc:Files> and "Operating Qudo",
  /// which has a table of the checks.
  public func diagnose(_ options: DiagnosisOptions) async throws(QudoError) -> Diagnosis {
    var diagnosis = try await Self.diagnose(path: reader.path, options, clock: clock)
    if !capabilities.contains(.survivesPowerLoss),
      !diagnosis.findings.contains(where: { $0.check == "durability" })
    {
      diagnosis.add(
        "durability",
        [
          Finding(
            "durability", .note,
            "this driver is not open at full: a power cut can lose jobs that it acknowledged",
            advice: "open it at full, unless these jobs can be enqueued again")
        ])
    }
    return diagnosis
  }

  /// Looks for what is wrong with a file, even if no driver can open it, and changes nothing.
  ///
  /// It creates no file and waits for no writer. Read permission is enough. It never throws for a damaged, foreign or newer
  /// file: that is a finding.
  ///
  /// - Parameters:
  ///   - path: The path of the file.
  ///   - options: The limits, and whether to read the whole file.
  ///   - clock: The clock that the file's times are compared with. Default: the machine's.
  /// - Throws: `QudoError`: `cannotOpen` if there is no file, or this process may not read it.
  public static func diagnose(
    path: String, _ options: DiagnosisOptions = DiagnosisOptions(), clock: any QueueClock = SystemClock()
  ) async throws(QudoError) -> Diagnosis {
    try await withContinuation { continuation in
      DispatchQueue(label: "qudo.diagnosis").async {
        Interleaving.point()
        continuation.resume(
          returning: Result { () throws(QudoError) in try FileDiagnosis(path, options, clock).diagnosis() })
      }
    }.get()
  }
}
