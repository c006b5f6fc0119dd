internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A file to read sequentially.
struct InputFile: ~Copyable {
  private let file: Int32
  private let name: String

  static var standardInput: InputFile { InputFile(file: STDIN_FILENO, name: "standard input") }

  private init(file: Int32, name: String) {
    self.file = file
    self.name = name
  }

  static func at(_ path: String) throws(CommandError) -> InputFile {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw failure(path) }
    return InputFile(file: file, name: path)
  }

  deinit { if file > STDIN_FILENO { close(file) } }

  /// Waits for input and returns the available bytes, at most as many as fit. Empty at the end of the file.
  func next(into buffer: UnsafeMutableRawBufferPointer) throws(CommandError) -> UnsafeRawBufferPointer {
    while true {
      let count = read(file, buffer.baseAddress, buffer.count)
      if count >= 0 { return UnsafeRawBufferPointer(rebasing: buffer[..<count]) }
      if errno == EAGAIN { _ = isReady(within: -1) } else if errno != EINTR { throw Self.failure(name) }
    }
  }

  /// Returns true if a read would return at once.
  ///
  /// - Parameter milliseconds: how long to wait; negative waits forever.
  func isReady(within milliseconds: Int32) -> Bool {
    var ready = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
    return poll(&ready, 1, milliseconds) > 0
  }

  /// Reads a whole file; `-` is standard input.
  ///
  /// - Throws: if the file has more than `limit` bytes.
  static func readAll(_ path: String, limit: Int) throws(CommandError) -> [UInt8] {
    if path == "-" { return try InputFile.standardInput.readAll(limit: limit) }
    return try InputFile.at(path).readAll(limit: limit)
  }

  private func readAll(limit: Int) throws(CommandError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    defer { buffer.deallocate() }
    var all: [UInt8] = []
    while true {
      let part = try next(into: buffer)
      if part.isEmpty { return all }
      all += part
      guard all.count <= limit else {
        throw CommandError(
          "\(SafeText.terminalSafe(name)) has more than \(limit) bytes, the limit of a payload. Enqueue its name instead"
        )
      }
    }
  }

  private static func failure(_ name: String) -> CommandError {
    CommandError("cannot read \(SafeText.terminalSafe(name)): \(String(cString: strerror(errno)))")
  }
}
