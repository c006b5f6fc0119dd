internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Whoever read the standard output has gone.
struct ClosedOutput: Error {}

/// Standard output has results and nothing else.
enum Output {
  static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Writes at once, all of it.
  static func write(_ text: String) throws {
    var text = text
    try text.withUTF8 { try write(UnsafeRawBufferPointer($0)) }
  }

  static func line(_ text: String) throws { try write(text + "\n") }

  static func write(_ bytes: UnsafeRawBufferPointer) throws {
    let error = writeAll(bytes, to: STDOUT_FILENO)
    if error == EPIPE { throw ClosedOutput() }
    if error != 0 {
      throw CommandError("standard output cannot be written to: \(String(cString: strerror(error)))")
    }
  }
}

/// A line on standard error.
func printError(_ text: String) {
  var line = "qudo: \(SafeText.lines(text))\n"
  _ = line.withUTF8 { writeAll(UnsafeRawBufferPointer($0), to: STDERR_FILENO) }  // There is no other place to say that it failed.
}

/// - Returns: 0, or the error number.
func writeAll(_ bytes: UnsafeRawBufferPointer, to file: Int32) -> Int32 {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = write(file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
    if count >= 0 {
      rest = rest.dropFirst(count)
    } else if errno == EAGAIN {
      // Somebody who shares the file made it non-blocking.
      var ready = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
      _ = poll(&ready, 1, -1)
    } else if errno != EINTR {
      return errno
    }
  }
  return 0
}
