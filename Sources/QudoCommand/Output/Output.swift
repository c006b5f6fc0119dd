internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The reader of standard output closed the pipe.
struct ClosedOutput: Error {}

/// Standard output, which has only results.
enum Output {
  static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Writes the whole text, without buffering.
  static func write(_ text: String) throws {
    var text = text
    try text.withUTF8 { try write(UnsafeRawBufferPointer($0)) }
  }

  static func line(_ text: String) throws { try write(text + "\n") }

  static func write(_ bytes: UnsafeRawBufferPointer) throws {
    let error = writeAll(bytes, to: STDOUT_FILENO)
    if error == EPIPE { throw ClosedOutput() }
    if error != 0 {
      throw CommandError("cannot write to standard output: \(String(cString: strerror(error)))")
    }
  }
}

/// Prints a line on standard error.
func printError(_ text: String) {
  var line = "qudo: \(SafeText.lines(text))\n"
  // There is nowhere else to report a failure.
  _ = line.withUTF8 { writeAll(UnsafeRawBufferPointer($0), to: STDERR_FILENO) }
}

/// Writes all bytes.
///
/// - Returns: 0, or the error number.
func writeAll(_ bytes: UnsafeRawBufferPointer, to file: Int32) -> Int32 {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = write(file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
    if count >= 0 {
      rest = rest.dropFirst(count)
    } else if errno == EAGAIN {
      // Another process that shares the file made it non-blocking.
      var ready = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
      _ = poll(&ready, 1, -1)
    } else if errno != EINTR {
      return errno
    }
  }
  return 0
}
