internal import Dispatch
internal import Qudo
internal import QudoBench
internal import Subprocess
internal import SystemPackage

/// A child process that runs this program, with pipes as its standard input and output.
final class PipedProcess: ChildProcess {
  /// Nil once closed, because the kernel may reuse the descriptor's number.
  private let input: Locked<FileDescriptor?>
  private let output: FileDescriptor
  private let unread = Locked<[UInt8]>([])
  private let status: Task<TerminationStatus, any Error>
  /// Runs the blocking reads.
  private let queue = DispatchQueue(label: "qudo.bench.output")

  init(_ arguments: [String]) throws {
    // A child started later closes its copies; otherwise it would keep these pipes open.
    let (childInput, input) = try FileDescriptor.pipe()
    let (output, childOutput) = try FileDescriptor.pipe()
    self.input = Locked(input)
    self.output = output
    let program = try Self.program()
    let isWorker = arguments.first == "work"
    // A worker's summary does not belong in the report.
    let errors =
      isWorker ? try FileDescriptor.open("/dev/null", .writeOnly, options: .closeOnExec) : .standardError
    status = Task {
      try await Subprocess.run(
        .path(program), arguments: Arguments(isWorker ? arguments : ["bench-process"] + arguments),
        input: .fileDescriptor(childInput, closeAfterSpawningProcess: true),
        output: .fileDescriptor(childOutput, closeAfterSpawningProcess: true),
        error: .fileDescriptor(errors, closeAfterSpawningProcess: isWorker)
      ).terminationStatus
    }
  }

  deinit {
    status.cancel()
    try? closeInput()  // A pipe has no data to lose.
    try? output.close()
  }

  func line() async throws -> String? {
    try await withCheckedThrowingContinuation { continuation in
      queue.async { continuation.resume(with: Result { try self.readLine() }) }
    }
  }

  private func readLine() throws -> String? {
    try unread.withLock { unread in
      while true {
        if let end = unread.firstIndex(of: 10) {
          defer { unread.removeSubrange(...end) }
          return String(decoding: unread[..<end], as: UTF8.self)
        }
        let bytes = try [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in  // unsafe: `count` is the number of bytes read
          count = try output.read(into: UnsafeMutableRawBufferPointer(buffer))
        }
        guard !bytes.isEmpty else { return nil }
        unread += bytes
      }
    }
  }

  func write(_ line: String) async throws {
    _ = try input.withLock { try $0?.writeAll(Array((line + "\n").utf8)) }
  }

  private func closeInput() throws {
    try input.withLock { input in
      defer { input = nil }
      try input?.close()
    }
  }

  func end() async throws {
    try closeInput()
    guard case .exited(0) = try await status.value else {
      throw CommandError("a process of the benchmark failed. Look for its message above, then measure again")
    }
  }

  private static func program() throws -> FilePath {
    #if os(Linux)
    "/proc/self/exe"
    #else
    FilePath(CommandLine.arguments[0])
    #endif
  }
}
