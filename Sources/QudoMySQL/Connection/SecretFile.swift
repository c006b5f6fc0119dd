#if MySQL
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A small file that contains a password.
struct SecretFile {
  let text: String
  /// Whether users other than its owner and group may read the file.
  let isReadableByOthers: Bool
  /// Whether users other than its owner and group may write to the file.
  let isWritableByOthers: Bool

  private static let longest = 65_536

  /// - Throws: `QudoError.Code.cannotOpen`, with the reason.
  init(_ path: String) throws(QudoError) {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { throw Self.failure(path, String(cString: strerror(errno))) }
    defer { close(file) }
    var info = stat()
    guard fstat(file, &info) == 0 else { throw Self.failure(path, String(cString: strerror(errno))) }
    isReadableByOthers = info.st_mode & S_IROTH != 0
    isWritableByOthers = info.st_mode & S_IWOTH != 0
    var bytes = [UInt8](repeating: 0, count: Self.longest + 1)
    var count = 0
    while count < bytes.count {
      let part = bytes.withUnsafeMutableBytes {
        read(file, $0.baseAddress.map { $0 + count }, $0.count - count)
      }  // unsafe: not kept
      if part < 0, errno == EINTR { continue }
      guard part >= 0 else { throw Self.failure(path, String(cString: strerror(errno))) }
      if part == 0 { break }
      count += part
    }
    guard count <= Self.longest else { throw Self.failure(path, "it is longer than \(Self.longest) bytes") }
    guard let text = String(validating: bytes[..<count], as: UTF8.self), !text.utf8.contains(0) else {
      throw Self.failure(path, "it is not UTF-8, or has a NUL byte")
    }
    self.text = text
  }

  /// The text without the line break that editors and `echo` append.
  var line: String {
    guard text.unicodeScalars.last == "\n" else { return text }
    let scalars = text.unicodeScalars.dropLast()
    return String(scalars.last == "\r" ? scalars.dropLast() : scalars)
  }

  static func isThere(_ path: String) -> Bool { access(path, F_OK) == 0 }

  private static func failure(_ path: String, _ reason: String) -> QudoError {
    QudoError(
      .cannotOpen,
      "cannot read the file \(path): \(reason). Check its path, permissions and contents"
    )
  }
}
#endif
