internal import CFaultyDisk
internal import CSQLite
internal import Foundation
internal import Qudo

/// A disk for SQLite, by the name of a VFS, that fails when it is told to, and that remembers what a power loss would leave.
///
/// What SQLite writes goes to real files, on which locks, shared memory and watches work; what of it is synced is remembered
/// beside them.
public final class FaultyDisk: @unchecked Sendable {  // reason: `vfs` is set once, all else is in `state`
  fileprivate struct State {
    var folder = DiskFolder()
    var fault: Fault?
    var count = 0
    var hits = 0
    var isOff = false
    var losesFailedSyncs = true
  }

  /// What a driver is opened with.
  public let name = "faulty-\(UUID().uuidString)"
  private let state = Locked(State())
  private var vfs: UnsafeMutableRawPointer?

  /// - Parameter isPowersafe: whether a write that is interrupted leaves the bytes next to it alone, as SQLite takes
  ///   for granted by default.
  public init(isPowersafe: Bool = true) {
    let watcher = faulty_watcher(
      context: Unmanaged.passUnretained(self).toOpaque(),
      before: { context, operation, arrives in
        guard let disk = FaultyDisk.from(context), let operation else { return SQLITE_IOERR }
        return disk.before(operation.pointee, arrives)
      },
      after: { context, operation in
        guard let disk = FaultyDisk.from(context), let operation else { return }
        disk.state.withLock { $0.done(operation.pointee) }
      })
    vfs = faulty_register(name, watcher, isPowersafe ? 1 : 0)
  }

  deinit { if let vfs { faulty_unregister(vfs) } }

  private static func from(_ context: UnsafeMutableRawPointer?) -> FaultyDisk? {
    context.map { Unmanaged<FaultyDisk>.fromOpaque($0).takeUnretainedValue() }
  }

  /// Learns of a file that was there before. Nobody may have it open.
  public func adopt(_ path: String) {
    guard let bytes = FileManager.default.contents(atPath: path) else { return }
    state.withLock { $0.folder.found(path, [UInt8](bytes)) }
  }

  /// Counts operations again.
  public func arm(_ fault: Fault) {
    state.withLock { state in
      state.fault = fault
      (state.count, state.hits) = (0, 0)
    }
  }

  /// Nothing fails any more; after a power loss all does.
  public func disarm() { state.withLock { $0.fault = nil } }

  /// Whether what a failed sync could not bring to the disk is taken for written from then on, as Linux does. Default: yes.
  public var losesFailedSyncs: Bool {
    get { state.withLock { $0.losesFailedSyncs } }
    set { state.withLock { $0.losesFailedSyncs = newValue } }
  }

  /// How many operations there were that the fault may strike.
  public var count: Int { state.withLock { $0.count } }

  /// How many operations the fault has struck.
  public var hits: Int { state.withLock { $0.hits } }

  /// What a machine that went off now would have, file by file. Files without a name are not among them.
  public func images(_ survival: Survival, seed: UInt64 = 0) -> [String: [UInt8]] {
    state.withLock { $0.folder.images(survival, seed: seed) }
  }

  private func before(_ operation: faulty_operation, _ arrives: UnsafeMutablePointer<Int32>?) -> Int32 {
    state.withLock { state in
      guard !state.isOff else { return SQLITE_IOERR }
      guard let fault = state.strike(operation) else { return SQLITE_OK }
      state.hits += 1
      if fault.partly { arrives?.pointee = operation.count / 2 }
      if operation.kind == FAULTY_SYNC, state.losesFailedSyncs { state.file(operation)?.failSync() }
      return state.answer(fault, operation)
    }
  }
}

extension FaultyDisk.State {
  func file(_ operation: faulty_operation) -> DiskFile? {
    operation.path.flatMap { folder.now[String(cString: $0)] }
  }

  /// The fault, if this is one of the operations that it strikes.
  mutating func strike(_ operation: faulty_operation) -> Fault? {
    guard let fault, fault.operations.contains(operation.set) else { return nil }
    if fault.effect == .full, operation.kind != FAULTY_WRITE { return nil }
    if fault.effect == .short, !operation.isOnJournal { return nil }
    count += 1
    return count == fault.at || fault.lasts && count > fault.at ? fault : nil
  }

  mutating func answer(_ fault: Fault, _ operation: faulty_operation) -> Int32 {
    switch fault.effect {
    case .full: return SQLITE_FULL
    case .short: return SQLITE_IOERR | 2 << 8
    case .error: return operation.error
    case .powerLoss:
      isOff = true
      // It may have arrived all the same, as all that was not synced.
      if operation.kind != FAULTY_SYNC, operation.kind != FAULTY_OPEN { done(operation) }
      return SQLITE_IOERR
    }
  }

  mutating func done(_ operation: faulty_operation) {
    guard let name = operation.path else { return }
    let path = String(cString: name)
    switch operation.kind {
    case FAULTY_OPEN:
      if folder.now[path] == nil, operation.flags & SQLITE_OPEN_DELETEONCLOSE == 0 { folder.make(path) }
    case FAULTY_WRITE:
      guard let bytes = operation.bytes else { return }
      let data = UnsafeRawBufferPointer(start: bytes, count: Int(operation.count))  // unsafe: SQLite says how many there are
      folder.now[path]?.write([UInt8](data), at: Int(operation.offset))
    case FAULTY_TRUNCATE: folder.now[path]?.cut(to: Int(operation.offset))
    case FAULTY_SYNC:
      folder.now[path]?.sync()
      if operation.syncs_folder != 0 { folder.sync() }
    case FAULTY_DELETE:
      folder.delete(path)
      if operation.syncs_folder != 0, !isOff { folder.sync() }
    default: break
    }
  }
}

extension faulty_operation {
  fileprivate var set: Fault.Operations { Fault.Operations(rawValue: 1 << UInt32(kind.rawValue)) }

  fileprivate var isOnJournal: Bool {
    guard let path else { return false }
    let name = String(cString: path)
    return name.hasSuffix("-wal") || name.hasSuffix("-journal")
  }

  /// SQLITE_IOERR_READ and so on, macros that Swift does not import.
  fileprivate var error: Int32 {
    switch kind {
    case FAULTY_OPEN: SQLITE_CANTOPEN
    case FAULTY_READ: SQLITE_IOERR | 1 << 8
    case FAULTY_WRITE: SQLITE_IOERR | 3 << 8
    case FAULTY_SYNC: SQLITE_IOERR | 4 << 8
    case FAULTY_TRUNCATE: SQLITE_IOERR | 6 << 8
    default: SQLITE_IOERR | 10 << 8
    }
  }
}

extension faulty_operation: @unchecked @retroactive Sendable {}  // reason: its pointers are used during the call only
