#if QUDO_INTERLEAVINGS
internal import Synchronization

/// A source line with an interleaving point, and its counts.
///
/// All accesses are relaxed and without locks, so that a point does not order one thread after another.
/// Otherwise Thread Sanitizer would take accesses before and after a point for ordered, and miss races.
package struct CallSite: @unchecked Sendable {  // reason: it points to atomics, which are never freed
  private struct Row: ~Copyable {
    let key = Atomic<UInt64>(0)
    let file = Atomic<UInt>(0)
    let line = Atomic<UInt>(0)
    let passes = Atomic<UInt64>(0)
    let made = Atomic<Int>(0)
    let resumed = Atomic<Int>(0)
    let again = Atomic<Int>(0)
    let forgotten = Atomic<Int>(0)
  }
  private static let capacity = 1024
  nonisolated(unsafe) private static let rows: UnsafeMutablePointer<Row> = {  // reason: it points to atomics and never changes
    let rows = UnsafeMutablePointer<Row>.allocate(capacity: capacity)
    for index in 0..<capacity { (rows + index).initialize(to: Row()) }
    return rows
  }()

  private let row: UnsafeMutablePointer<Row>

  /// A hash of file and line, the same on every machine and in every run.
  var key: UInt64 { row.pointee.key.load(ordering: .relaxed) }

  static func at(_ file: StaticString, _ line: UInt) -> CallSite {
    var key: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(line)
    file.withUTF8Buffer { for byte in $0 { key = (key ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 } }
    key |= 1
    var index = Int(truncatingIfNeeded: key >> 20) & (capacity - 1)
    while true {
      let row = rows + index
      let found = row.pointee.key.load(ordering: .relaxed)
      if found == key { return CallSite(row: row) }
      if found == 0 {
        let (isMine, other) = row.pointee.key.compareExchange(expected: 0, desired: key, ordering: .relaxed)
        if isMine {
          row.pointee.file.store(UInt(bitPattern: file.utf8Start), ordering: .relaxed)
          row.pointee.line.store(line, ordering: .relaxed)
        }
        if isMine || other == key { return CallSite(row: row) }
      }
      index = (index + 1) & (capacity - 1)
    }
  }

  /// Counts a pass, and returns the number of earlier ones.
  func pass() -> UInt64 { row.pointee.passes.wrappingAdd(1, ordering: .relaxed).oldValue }
  func made() { row.pointee.made.wrappingAdd(1, ordering: .relaxed) }
  func resumed() { row.pointee.resumed.wrappingAdd(1, ordering: .relaxed) }
  func resumedAgain() { row.pointee.again.wrappingAdd(1, ordering: .relaxed) }
  func forgotten() { row.pointee.forgotten.wrappingAdd(1, ordering: .relaxed) }

  /// The counts of the continuations that were created at a call site.
  package struct Census: Sendable {
    /// The file and line.
    package let place: String
    package let made: Int
    package let resumed: Int
    /// The number of continuations that were resumed twice.
    package let again: Int
    /// The number of continuations that were freed without being resumed.
    package let forgotten: Int
    package let passes: Int

    package var isWhole: Bool { made == resumed && again == 0 && forgotten == 0 }
  }

  /// The counts of all call sites since the process began. Exact while the library is idle.
  package static var census: [Census] {
    (0..<capacity).compactMap { index in
      let row = rows + index
      let file = row.pointee.file.load(ordering: .relaxed)
      guard let name = UnsafePointer<CChar>(bitPattern: file) else { return nil }
      return Census(
        place: "\(String(cString: name)):\(row.pointee.line.load(ordering: .relaxed))",
        made: row.pointee.made.load(ordering: .relaxed),
        resumed: row.pointee.resumed.load(ordering: .relaxed),
        again: row.pointee.again.load(ordering: .relaxed),
        forgotten: row.pointee.forgotten.load(ordering: .relaxed),
        passes: Int(row.pointee.passes.load(ordering: .relaxed)))
    }
  }
}
#endif
