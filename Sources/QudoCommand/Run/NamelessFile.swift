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

/// A temporary file that is in no folder and goes when it is closed.
///
/// As a command's input or output it never blocks the command, and nobody waits for a child that the command left
/// behind with it.
struct NamelessFile: ~Copyable {
  let descriptor: FileDescriptor

  /// - Parameter bytes: what it has; it is read from its beginning.
  static func make(_ bytes: [UInt8] = []) throws -> NamelessFile {
    let path = FilePath(FileManager.default.temporaryDirectory.path).appending("qudo-run-\(UUID().uuidString)")
    let file = NamelessFile(descriptor: try FileDescriptor.open(
      path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec], permissions: .ownerReadWrite))
    // `FileManager` would need another descriptor.
    guard unlink(path.string) == 0 else { throw Errno(rawValue: errno) }
    _ = try file.descriptor.writeAll(bytes)
    try file.descriptor.seek(offset: 0, from: .start)
    return file
  }

  private init(descriptor: FileDescriptor) { self.descriptor = descriptor }

  deinit { try? descriptor.close() }  // Nothing is left to be lost in it.

  var size: Int64 { get throws { try descriptor.seek(offset: 0, from: .end) } }

  /// The last bytes of the file as text.
  func tail(_ limit: Int64) throws -> String {
    var bytes = [UInt8](repeating: 0, count: Int(min(limit, try size)))
    let offset = try size - Int64(bytes.count)
    let count = try bytes.withUnsafeMutableBytes { try descriptor.read(fromAbsoluteOffset: offset, into: $0) }
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}
