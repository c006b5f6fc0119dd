#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import SystemPackage

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A temporary file without a name, which disappears when it is closed.
///
/// It is in the system's folder for temporary files. On Linux, if that folder is unusable or full, the file
/// is in memory.
///
/// As a command's input or output, it never blocks the command, and the worker need not wait for a child that
/// the command left behind with it.
struct UnlinkedTemporaryFile: ~Copyable {
  let descriptor: FileDescriptor

  /// - Parameter bytes: the content; reads start at its beginning.
  /// - Throws: `Errno`.
  static func make(_ bytes: [UInt8] = []) throws -> UnlinkedTemporaryFile {
    do {
      let file = try inFolder()
      if !file.isOutOfRoom {
        try file.fill(bytes)
        return file
      }
      throw Errno.noSpace
    } catch let error as Errno where error != .tooManyOpenFiles && error != .tooManyOpenFilesInSystem {
      guard let file = inMemory() else { throw error }
      try file.fill(bytes)
      return file
    }
  }

  private func fill(_ bytes: [UInt8]) throws {
    _ = try descriptor.writeAll(bytes)
    try descriptor.seek(offset: 0, from: .start)
  }

  private static func inFolder() throws -> UnlinkedTemporaryFile {
    let path = FilePath(FileManager.default.temporaryDirectory.path).appending(
      "qudo-run-\(UUID().uuidString)")
    let file = UnlinkedTemporaryFile(
      descriptor: try FileDescriptor.open(
        path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec], permissions: .ownerReadWrite))
    // `FileManager` would need one more descriptor.
    guard unlink(path.string) == 0 else { throw Errno(rawValue: errno) }
    return file
  }

  /// Creates a file with `memfd_create`, which Swift's C library module does not expose. Nil if the system
  /// lacks it.
  private static func inMemory() -> UnlinkedTemporaryFile? {
    #if os(Linux)
    typealias Function = @convention(c) (UnsafePointer<CChar>, UInt32) -> Int32
    guard let symbol = dlsym(nil, "memfd_create") else { return nil }
    let closeOnExec: UInt32 = 1  // MFD_CLOEXEC
    let descriptor = unsafeBitCast(symbol, to: Function.self)("qudo-run", closeOnExec)  // unsafe: that is its type in memfd_create(2)
    return descriptor < 0 ? nil : UnlinkedTemporaryFile(descriptor: FileDescriptor(rawValue: descriptor))
    #else
    return nil
    #endif
  }

  /// True if its file system is nearly full, which explains a failed write.
  var isOutOfRoom: Bool {
    var status = statvfs()
    // Some file systems report no block count.
    guard fstatvfs(descriptor.rawValue, &status) == 0, status.f_blocks > 0 else { return false }
    return UInt64(status.f_bavail) * UInt64(status.f_frsize) < 65_536
  }

  private init(descriptor: FileDescriptor) { self.descriptor = descriptor }

  deinit { try? descriptor.close() }  // A failed close loses nothing that is needed.

  var size: Int64 { get throws { try descriptor.seek(offset: 0, from: .end) } }

  /// Returns the last bytes of the file as text.
  func tail(_ limit: Int64) throws -> String {
    var bytes = [UInt8](repeating: 0, count: Int(min(limit, try size)))
    let offset = try size - Int64(bytes.count)
    let count = try bytes.withUnsafeMutableBytes { try descriptor.read(fromAbsoluteOffset: offset, into: $0) }
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}
