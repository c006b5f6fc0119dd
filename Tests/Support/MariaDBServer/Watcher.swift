import Foundation
import ProcessSupport

/// Sees to it that no server and no folder outlives this process, however it ends.
///
/// That is the work of a shell in a session of its own, which reads from a pipe that only this process has open for
/// writing: the pipe ends when this process does, by a SIGKILL too. Linux's parent-death signal will not do, since it comes
/// when the thread that started the child ends.
final class Watcher: Sendable {
  static let one = Result { try Watcher() }

  /// Each line is `+PID`, `-PID`, or the path of a folder.
  private static let script = """
    trap '' HUP INT TERM
    running=' '
    while IFS= read -r line; do
      case $line in
        +*) running="$running${line#+} " ;;
        -*) running="${running%% ${line#-} *} ${running#* ${line#-} }" ;;
        *) folders="$folders
    $line" ;;
      esac
    done
    for id in $running; do kill -9 $id 2>/dev/null; done
    IFS='
    '
    for folder in $folders; do rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }; done
    """

  private let pipe = Pipe()
  private let shell: ChildProcess

  private init() throws {
    shell = try ChildProcess(
      "/bin/sh", ["-c", Self.script], in: "/", files: (pipe.fileHandleForReading.fileDescriptor, 2, 2),
      apart: true)
    try pipe.fileHandleForReading.close()
    // At an orderly end this process waits until all is away.
    atexit {
      guard let watcher = try? Watcher.one.get() else { return }
      try? watcher.pipe.fileHandleForWriting.close()
      _ = watcher.shell.end(within: 10)
    }
  }

  /// To be called as soon as the process runs.
  func add(_ process: ChildProcess) { write("+\(process.id)") }

  /// To be called when it has ended: its number may become another's.
  func remove(_ process: ChildProcess) { write("-\(process.id)") }

  /// To be called before it is made.
  func add(_ folder: URL) { write(folder.path) }

  private func write(_ line: String) {
    try? pipe.fileHandleForWriting.write(contentsOf: Data("\(line)\n".utf8))
  }
}
