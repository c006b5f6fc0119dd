#if canImport(Glibc)
// With the dashboard, the compiler takes `stat` for a part of it.
internal import CDispatch
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The identity of the file at a path, independent of its name. Reading it does not open the file.
struct FileIdentity: Equatable {
  private let device: dev_t
  private let number: ino_t

  /// Nil if the file does not exist or cannot be examined.
  init?(_ path: String) {
    var found = stat()
    guard stat(path, &found) == 0 else { return nil }
    device = found.st_dev
    number = found.st_ino
  }
}
