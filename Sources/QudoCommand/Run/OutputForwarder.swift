internal import Dispatch
internal import Qudo
internal import SystemPackage

#if canImport(Glibc)
// With the dashboard, the compiler takes `stat` for a part of it.
internal import CDispatch
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Forwards the output of commands, one command after the other.
///
/// It writes on its own thread, so that a slow reader does not let leases expire.
enum OutputForwarder {
  private static let queue = DispatchQueue(label: "qudo.output")

  /// - Throws: `ClosedOutput` or `CommandError` if standard output fails. Errors on standard error are
  ///   ignored.
  static func write(output: borrowing UnlinkedTemporaryFile, errors: borrowing UnlinkedTemporaryFile)
    async throws
  {
    let (output, errors) = (output.descriptor, errors.descriptor)
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      queue.async {
        continuation.resume(
          with: Result {
            // As with all messages, there is nowhere else to report a failure.
            try? copy(errors, to: STDERR_FILENO)
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
        throw CommandError("cannot write the command's output: \(String(cString: strerror(error)))")
      }
      offset += Int64(count)
    }
  }

  /// Locks out other workers that write to the same file or pipe. On systems without such locks, each `write`
  /// is still atomic in a file opened for appending, and in a pipe up to PIPE_BUF bytes.
  @discardableResult
  private static func lock(_ file: Int32, _ type: some BinaryInteger) -> Bool {
    var status = stat()
    // Lock only files and pipes, which belong to one pipeline; all processes would share a lock on /dev/null.
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
