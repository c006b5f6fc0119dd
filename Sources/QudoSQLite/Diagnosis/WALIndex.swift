internal import CSQLite
internal import Qudo

/// The numbers at the beginning of the `-shm`, which say how much of the WAL is in use: sqlite.org/walformat.html.
struct WALIndex {
  /// Changes with each commit.
  let change: UInt32
  let pageSize: Int64
  /// The number of frames in the WAL that are valid.
  let frames: UInt32
  /// The number of frames that are in the database file already.
  let copied: UInt32
  /// For each lock of readers: the frame up to which its holders read.
  let marks: [UInt32]

  /// The first byte of the `-shm` that a lock uses: "WAL_WRITE_LOCK 0 120".
  static let writeByte: UInt64 = 120
  /// "WAL_RECOVER_LOCK 2 122".
  static let recoverByte: UInt64 = 122
  /// "WAL_READ_LOCK(i) 3+i 123+i".
  static func readByte(_ number: Int) -> UInt64 { 123 + UInt64(number) }

  /// The number of frames that wait for a checkpoint.
  var left: Int64 { max(0, Int64(frames) - Int64(copied)) }
  var bytesLeft: Int64 { left * (pageSize + 24) }
  /// The size of all valid frames, in bytes.
  var bytes: Int64 { Int64(frames) * (pageSize + 24) }

  /// Reads the index that a connection has mapped; nil if it uses none.
  init?(_ connection: Connection) {
    var file: UnsafeMutablePointer<sqlite3_file>?
    guard sqlite3_file_control(connection.handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK,
      let file, let methods = file.pointee.pMethods, methods.pointee.iVersion >= 2,
      let map = methods.pointee.xShmMap
    else { return nil }
    var start: UnsafeMutableRawPointer?
    // Without extending it: only what is there.
    guard map(file, 0, Self.size, 0, &start) & 0xFF == SQLITE_OK || start != nil, let start else {
      return nil
    }
    // unsafe: the first 32 KiB are mapped as long as the connection is open
    let index = UnsafeRawBufferPointer(start: start, count: 136)
    func number(_ offset: Int) -> UInt32 { index.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    guard number(0) == Self.version, index[12] != 0 else { return nil }
    change = number(8)
    let size = Int64(index.loadUnaligned(fromByteOffset: 14, as: UInt16.self))
    // "if the page size is 65536, then this value is 1".
    pageSize = size == 1 ? 65_536 : size
    frames = number(16)
    copied = number(96)
    marks = (0..<5).map { number(100 + 4 * $0) }
  }

  private static let size: Int32 = 32_768
  /// "The WAL-index format version number; always 3007000."
  private static let version: UInt32 = 3_007_000

  /// Returns the processes whose read transactions keep frames from being copied.
  ///
  /// - Parameters:
  ///   - shm: The `-shm`.
  ///   - first: An earlier index. Transactions that began after it do not count.
  func blockers(_ locks: LockList?, _ shm: FileStatus?, since first: WALIndex) -> Set<Int64> {
    guard let locks, left > 0 else { return [] }
    var found: Set<Int64> = []
    for (number, mark) in marks.enumerated() {
      // A reader with the first lock reads the database file only, and nothing may be copied to it.
      guard number == 0 ? first.left > 0 : mark < min(frames, first.frames) else { continue }
      found.formUnion(
        locks.holders(of: shm, .posix, byte: Self.readByte(number), isExclusive: false))
    }
    return found
  }
}
