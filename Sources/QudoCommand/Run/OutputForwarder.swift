internal import Dispatch
internal import Qudo
internal import SystemPackage

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Passes on what commands wrote, one command's after the other's.
///
/// On a thread of its own: whoever reads may be slow, and no lease must be lost for that.
enum OutputForwarder {
  private static let queue = DispatchQueue(label: "qudo.output")

  /// - Throws: `ClosedOutput` or `CommandError` when standard output does not take it. What goes to standard error is
  ///   written as far as that is possible.
  static func write(output: borrowing UnlinkedTemporaryFile, errors: borrowing UnlinkedTemporaryFile)
    async throws
  {
    let (output, errors) = (output.descriptor, errors.descriptor)
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      queue.async {
        continuation.resume(
          with: Result {
            try? copy(errors, to: STDERR_FILENO)  // As with all messages: there is no other place for them.
            try copy(output, to: STDOUT_FILENO)
          })
      }
    }
  }

  private static func copy(_ source: FileDescriptor, to target: Int32) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 262_144, alignment: 16)
    defer { buffer.deallocate() }
    var offset: Int64 = 0
    var isLocked = false
    defer { if isLocked { lock(target, F_UNLCK) } }
    while true {
      let count = try source.read(fromAbsoluteOffset: offset, into: buffer)
      if count == 0 { return }
      if !isLocked { isLocked = lock(target, F_WRLCK) }
      let error = writeAll(UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: target)
      if error == EPIPE { throw ClosedOutput() }
      if error != 0 {
        throw CommandError("the output cannot be written: \(String(cString: strerror(error)))")
      }
      offset += Int64(count)
    }
  }

  /// Keeps other workers that write to the same file or pipe out for the while. Where there are no such locks, each
  /// `write` is still whole in a file that is appended to, and in a pipe up to PIPE_BUF bytes.
  @discardableResult
  private static func lock(_ file: Int32, _ type: some BinaryInteger) -> Bool {
    var status = stat()
    // Only these belong to one pipeline; a lock on /dev/null would be everybody's.
    guard fstat(file, &status) == 0, [S_IFREG, S_IFIFO].contains(status.st_mode & S_IFMT) else {
      return false
    }
    var lock = flock()
    lock.l_type = Int16(type)
    lock.l_whence = Int16(SEEK_SET)
    while fcntl(file, F_SETLKW, &lock) != 0 {
      guard errno == EINTR else { return false }
    }
    return true
  }
}
