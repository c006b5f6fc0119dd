import Foundation
import Qudo
import QudoSQLite
import QudoTesting

/// Whatever the bytes, they are a script that SQLite and the model answer alike. One on which they differ is printed as the
/// text of a short one, to be kept in Tests/Evidence/ModelTests/Scripts.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let script = ModelScript(bytes: UnsafeBufferPointer(start: start, count: count))
  guard let failure = blocking({ await difference(script) }) else { return 0 }
  let short = blocking { await script.shrunk { await difference($0) != nil } }
  // Not `print`: what it keeps back is lost when the process ends below.
  FileHandle.standardError.write(Data("\(failure)\n\(short)\n".utf8))
  fatalError("SQLite and the model differ")
}

/// How the two differ, on a new file in memory.
private func difference(_ script: ModelScript) async -> String? {
  let path = "\(folder)/\(UUID().uuidString).db"
  defer { for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + end) } }
  do {
    try await script.run(
      on: ConformanceSubject { try SQLiteDriver(path: path, durability: .off, clock: $0) }, comparingEvery: 4)
    return nil
  } catch {
    return "\(error)"
  }
}

private let folder =
  FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()

/// libFuzzer calls on its main thread, on which no task runs.
private func blocking<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) -> Value {
  let result = Box<Value>()
  Task.detached {
    result.value = await body()
    result.done.signal()
  }
  while true {
    result.done.wait()
    if let value = result.value { return value }
  }
}

private final class Box<Value>: @unchecked Sendable {  // reason: the value is written before the signal, and read after it
  let done = DispatchSemaphore(value: 0)
  var value: Value?
}

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
  _ count: UnsafePointer<CInt>, _ arguments: UnsafePointer<UnsafePointer<UnsafePointer<CChar>?>?>,
  _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The package manager links an executable with its target's own entry, not with libFuzzer's `main`.
@_cdecl("FuzzModel_main")
public func entry(_ count: CInt, _ arguments: UnsafePointer<UnsafePointer<CChar>?>?) -> CInt {
  withUnsafePointer(to: count) { count in withUnsafePointer(to: arguments) { runFuzzer(count, $0, fuzz) } }
}
