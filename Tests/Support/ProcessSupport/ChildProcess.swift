import CSpawn
import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A process with nothing of ours but its three standard files.
///
/// Foundation's `Process` will not do on Linux: to find the files to close it copies 256 bytes of each entry of a folder, most of
/// which are shorter, and at times reads past the end of what there is.
public final class ChildProcess: @unchecked Sendable {  // reason: `state` is touched under `lock` only
  public let id: Int32
  private let ended = DispatchSemaphore(value: 0)
  private let lock = NSLock()
  private var status: Int32?

  public struct CannotStart: Error, CustomStringConvertible {
    public let description: String
  }

  /// - Parameters:
  ///   - folder: in which it runs; this process's own for nil.
  ///   - environment: all of it; this process's own for nil.
  ///   - files: its standard input, output and error output.
  ///   - apart: whether it gets a session of its own, so that no signal to this process's group or terminal reaches it.
  public init(
    _ program: String, _ arguments: [String], in folder: String? = nil,
    environment: [String: String]? = nil, files: (Int32, Int32, Int32) = (0, 1, 2), apart: Bool = false
  ) throws {
    let words = ([program] + arguments).map { strdup($0) } + [nil]
    let variables =
      (environment ?? ProcessInfo.processInfo.environment).map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for word in words + variables { free(word) } }
    var number: pid_t = 0
    let code = spawn_child(
      &number, program, words, variables, folder, files.0, files.1, files.2, apart ? 1 : 0)
    guard code == 0 else {
      throw CannotStart(description: "\(program) cannot be started: \(String(cString: strerror(code)))")
    }
    let id = number
    self.id = id
    Thread.detachNewThread { [self] in
      var status: Int32 = 0
      while waitpid(id, &status, 0) == -1, errno == EINTR {}
      // The exit status, or the number of the signal.
      lock.withLock { self.status = status & 0x7F == 0 ? (status >> 8) & 0xFF : status & 0x7F }
      ended.signal()
    }
  }

  public var isRunning: Bool { lock.withLock { status == nil } }

  public func kill(_ signal: Int32) {
    lock.withLock {
      // Its number may be another's once it was waited for.
      guard status == nil else { return }
      #if canImport(Glibc)
      _ = Glibc.kill(id, signal)
      #else
      _ = Darwin.kill(id, signal)
      #endif
    }
  }

  /// With SIGSTOP. Returns when it stands still: the signal comes to each of its threads some time after it was sent.
  public func stop() {
    kill(SIGSTOP)
    var info = siginfo_t()
    while waitid(P_PID, id_t(id), &info, WSTOPPED) == -1, errno == EINTR {}
  }

  /// How many descriptors it may have from now on; those that it has it keeps. On Linux only.
  public func limitDescriptors(to count: Int) throws {
    let code = limit_descriptors(id, UInt(count))
    guard code == 0 else { throw POSIXError(.init(rawValue: code) ?? .EIO) }
  }

  /// Waits for its end.
  ///
  /// - Returns: the exit status, or the number of the signal that ended it; nil if it goes on for longer than that.
  public func end(within seconds: Int) -> Int32? {
    guard ended.wait(timeout: .now() + .seconds(seconds)) == .success else { return nil }
    ended.signal()
    return lock.withLock { status }
  }
}
