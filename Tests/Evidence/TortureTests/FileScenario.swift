import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Where a file is that is to fail: on a small disk of its own in memory, where the system lets one be mounted, which takes
/// root and is not allowed in every container.
struct FileScenario {
  enum Fault: String, CaseIterable {
    /// A process of Qudo is stopped in the middle of a transaction.
    case turnHeld = "hold-turn"
    /// Another program is in a transaction.
    case transactionHeld = "hold-transaction"
    case diskFull = "full disk"
  }
  let folder: URL
  let hasDisk: Bool
  var faults: [Fault] { Fault.allCases.filter { $0 != .diskFull || hasDisk } }
  private var ballast: String { folder.appendingPathComponent("ballast").path }

  init(in parent: URL) throws {
    folder = parent.appendingPathComponent("disk")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    #if os(Linux)
    hasDisk = mount("tmpfs", folder.path, "tmpfs", 0, "size=64m") == 0
    #else
    hasDisk = false
    #endif
  }

  /// Leaves no room.
  func fill() throws {
    let file = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    defer { close(file) }
    for size in [1 << 20, 4096] {
      let block = [UInt8](repeating: 0, count: size)
      while write(file, block, size) > 0 {}
    }
  }

  func empty() { unlink(ballast) }

  func remove() {
    #if os(Linux)
    // Lazily (MNT_DETACH): a test that failed may have files open.
    if hasDisk { umount2(folder.path, 2) }
    #endif
  }
}
