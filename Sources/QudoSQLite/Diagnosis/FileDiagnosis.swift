internal import CSQLite
internal import Logging
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The diagnosis of a file, on one thread: of its place first, then of its locks, then of what is in it.
struct FileDiagnosis {
  private let path: String
  private let options: DiagnosisOptions
  private let clock: any QueueClock
  /// A lock is reported if it is held for this long and nothing is committed meanwhile, in looks of 25 ms.
  static let looks = 20

  init(_ path: String, _ options: DiagnosisOptions, _ clock: any QueueClock) {
    (self.path, self.options, self.clock) = (path, options, clock)
  }

  func diagnosis() throws(QudoError) -> Diagnosis {
    guard !path.isEmpty, path != ":memory:", !path.utf8.contains(0) else {
      throw QudoError(
        .invalidArgument, "the path is empty, \":memory:\" or contains a NUL byte: pass the path of a file")
    }
    var diagnosis = Diagnosis(DatabaseOpener.stem(path))
    guard let place = try resolved(&diagnosis) else { return diagnosis }
    guard FileStatus(place) != nil else {
      throw QudoError(
        .cannotOpen, "\(path): there is no file: check the path, or enqueue the first job, which creates it")
    }
    diagnosis.add("rights", rights(place))
    diagnosis.add("mount", Mount.of(place)?.findings.filter { $0.check == "mount" } ?? [])
    diagnosis.add("disk-space", diskSpace(place))
    guard checkFileSystem(place, &diagnosis) else { return diagnosis }
    do throws(QudoError) {
      let reader = ListingReader(
        path: path, limits: Limits(), timeout: .milliseconds(500), clock: clock, logger: Self.silent,
        diagnoses: true)
      let before = diagnosis
      try reader.perform { snapshot throws(QudoError) in
        var found = before
        // Also what was found before an error.
        defer { diagnosis = found }
        try SnapshotDiagnosis(snapshot, reader, place, options).add(to: &found)
      }
    } catch {
      try add(error, place, &diagnosis)
    }
    return diagnosis
  }

  static let silent = Logger(label: "qudo", factory: { _ in SwiftLogNoOpLogHandler() })

  // MARK: Place

  /// Returns the path without links; nil if Qudo refuses it.
  private func resolved(_ diagnosis: inout Diagnosis) throws(QudoError) -> String? {
    do throws(QudoError) {
      let place = try DatabasePath(path).path
      diagnosis.add("path", [])
      return place
    } catch {
      guard error.code == .unsupportedDatabase else { throw error.naming(path) }
      diagnosis.add("path", [Self.fault("path", error)])
      return nil
    }
  }

  private func diskSpace(_ place: String) -> [Finding] {
    DiskSpace.of(place)?.findings(
      file: FileStatus(place)?.size ?? 0, wal: FileStatus(place + "-wal")?.size ?? 0) ?? []
  }

  private func checkFileSystem(_ place: String, _ diagnosis: inout Diagnosis) -> Bool {
    do throws(QudoError) {
      try FileSystem.check(place, Self.silent)
      diagnosis.add("file-system", Mount.of(place)?.findings.filter { $0.check == "file-system" } ?? [])
      return true
    } catch {
      diagnosis.add("file-system", [Self.fault("file-system", error)])
      return false
    }
  }

  /// Whether other users of the machine may pass through the folders to the file.
  private func isReachable(_ place: String) -> Bool {
    var folder = FileSystem.folder(of: place)
    while true {
      guard let status = FileStatus(folder), status.mode & 0o001 != 0 else { return false }
      if folder == "/" { return true }
      folder = FileSystem.folder(of: folder)
    }
  }

  private func rights(_ place: String) -> [Finding] {
    var found: [Finding] = []
    var (written, read): ([String], [String]) = ([], [])
    for ending in isReachable(place) ? ["", "-wal", "-shm"] : [] {
      guard let file = FileStatus(place + ending) else { continue }
      if file.mode & 0o002 != 0 { written.append(place + ending) }
      if file.mode & 0o006 == 0o004 { read.append(place + ending) }
    }
    if !written.isEmpty {
      found.append(
        Finding(
          "rights", .warning,
          "every user of this machine may write to \(written.joined(separator: ", ")), and so enqueue jobs for your workers",
          advice: "remove that permission (chmod o-rwx)"))
    }
    if !read.isEmpty {
      found.append(
        Finding(
          "rights", .note,
          "every user of this machine may read \(read.joined(separator: ", ")), payloads included",
          advice: "if payloads are secret, remove that permission (chmod o-r)"))
    }
    let folder = FileSystem.folder(of: place)
    if let status = FileStatus(folder), status.isOpenToAll, !status.isLikeTmp {
      found.append(
        Finding(
          "rights", .warning,
          "every user of this machine may write to the folder \(folder), and so replace the file",
          advice: "remove that permission (chmod o-w)"))
    }
    if access(place, W_OK) != 0 {
      found.append(
        Finding(
          "rights", .note, "this user may not write to the file",
          advice: "if this user is to enqueue or to work, give it the right (chmod, or its group)"))
    }
    return found
  }

  // MARK: Files that cannot be read

  private static func fault(_ check: String, _ error: QudoError) -> Finding {
    Finding(check, .fault, error)
  }

  /// Adds why a file cannot be read, or throws it.
  private func add(_ error: QudoError, _ place: String, _ diagnosis: inout Diagnosis) throws(QudoError) {
    switch error.code {
    case .ioError, .diskFull:
      diagnosis.add("disk", [Self.fault("disk", error)])
    case .corrupt:
      // After a check that found damage, even the end of the transaction fails.
      let isKnown = diagnosis.findings.contains { $0.check == "integrity" && $0.severity == .fault }
      diagnosis.add("damaged", isKnown ? [] : [Self.damage(error)])
    case .notADatabase, .newerSchema, .foreignSchema, .unsupportedDatabase, .database:
      diagnosis.add("schema", [Self.fault("schema", error)])
    case .busy:
      diagnosis.add("locked", [locked(place)])
    default: throw error.naming(path)
    }
  }

  private func locked(_ place: String) -> Finding {
    let locks = LockList.current()
    let shm = FileStatus(place + "-shm")
    let recovering =
      locks?.holders(of: shm, .posix, byte: WALIndex.recoverByte, isExclusive: true) ?? []
    guard recovering.isEmpty else {
      return Finding(
        "locked", .warning,
        "\(SystemFile.processes(recovering, orElse: "another process")) recovers the file after a crash: nobody else can read it",
        advice: "wait, then look again", figures: recovering.min().map { ["process": $0] } ?? [:])
    }
    let holders = locks?.holders(of: FileStatus(place), .posix, isExclusive: true) ?? []
    return Finding(
      "locked", .fault,
      "\(SystemFile.processes(holders, orElse: "another process")) has locked the whole file: nobody else can read it",
      advice:
        "look again, because the last process copies the WAL before it ends; if the lock stays, end that process, or let it continue without PRAGMA locking_mode = EXCLUSIVE",
      figures: holders.min().map { ["process": $0] } ?? [:])
  }

  static func damage(_ error: QudoError) -> Finding {
    guard error.code == .corrupt, let cause = error.cause as? SQLiteError else {
      return Finding("damaged", .fault, error)
    }
    return Finding(
      "damaged", .fault, "the file is damaged (\(cause.message))",
      advice:
        "stop its processes, check the disk, and restore a backup, or copy what can be read (sqlite3 FILE .dump): see \"Operating Qudo\""
    )
  }

  // MARK: Locks

  /// The locks that were held for as long as the diagnosis looked, while nothing was committed.
  struct HeldLocks {
    /// Qudo's write lock: the holders' process ids.
    var qudo: Set<Int64> = []
    /// SQLite's.
    var sqlite: Set<Int64> = []
    var isAny: Bool { !qudo.isEmpty || !sqlite.isEmpty }
  }

  /// Looks who holds the write locks. It waits only if one is held.
  ///
  /// - Parameter change: Returns a value that each commit changes.
  static func heldLocks(_ place: String, change: () -> UInt32?) -> HeldLocks {
    let before = change()
    var held = locksNow(place)
    for _ in 0..<looks where held.isAny {
      usleep(25_000)
      let now = locksNow(place)
      held.qudo.formIntersection(now.qudo)
      held.sqlite.formIntersection(now.sqlite)
      guard change() == before else { return HeldLocks() }
    }
    return held
  }

  private static func locksNow(_ place: String) -> HeldLocks {
    guard let list = LockList.current() else { return HeldLocks() }
    return HeldLocks(
      qudo: list.holders(of: FileStatus(place + "-wal"), .flock, isExclusive: true),
      sqlite: list.holders(
        of: FileStatus(place + "-shm"), .posix, byte: WALIndex.writeByte, isExclusive: true))
  }
}
