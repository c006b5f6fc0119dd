#if Dashboard
internal import Qudo
internal import QudoDashboard

#if canImport(Glibc)
// With the dashboard, the compiler takes `stat` for a part of it.
internal import CDispatch
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A file with the token of `qudo serve`, which only its owner may read.
enum TokenFile {
  /// The length of a token in characters: 32 hexadecimal digits are 128 bits.
  private static let lengths = 32...512

  /// Returns the token in a file, which is created with a new one if it does not exist.
  static func token(_ path: String) throws -> String {
    let shown = SafeText.terminalSafe(path)
    var file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    if file < 0, errno == ENOENT {
      let token = Secret.randomText()
      file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
      guard file >= 0 else { throw failure("make", shown) }
      defer { close(file) }
      var line = token + "\n"
      let error = line.withUTF8 { writeAll(UnsafeRawBufferPointer($0), to: file) }
      guard error == 0 else {
        unlink(path)
        throw CommandError(
          "cannot write \(shown): \(String(cString: strerror(error))). Choose another --token-file")
      }
      return token
    }
    guard file >= 0 else { throw failure("open", shown) }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw CommandError("\(shown) is not a file: choose another --token-file")
    }
    guard status.st_mode & 0o077 == 0, status.st_uid == geteuid() else {
      throw CommandError(
        "other users can read or own \(shown): make it yours and secret (chmod 600), or choose another --token-file"
      )
    }
    var bytes = [UInt8](repeating: 0, count: 1024)
    let count = read(file, &bytes, bytes.count)
    let token = bytes.prefix(max(count, 0)).prefix { $0 != 0x0A && $0 != 0x0D }
    guard lengths.contains(token.count), token.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw CommandError(
        "the first line of \(shown) is no token: give \(lengths.lowerBound) to \(lengths.upperBound) characters without spaces, or remove the file"
      )
    }
    return String(decoding: token, as: UTF8.self)
  }

  private static func failure(_ verb: String, _ path: String) -> CommandError {
    CommandError("cannot \(verb) \(path): \(String(cString: strerror(errno))). Choose another --token-file")
  }
}
#endif
