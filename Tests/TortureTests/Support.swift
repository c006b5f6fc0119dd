import Foundation

/// Beside the test bundle, where the build puts both.
func built(_ name: String) throws -> URL {
  var place = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
  while place.path != "/" {
    let command = place.appendingPathComponent(name)
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: command.path, isDirectory: &isFolder), !isFolder.boolValue { return command }
    place.deleteLastPathComponent()
  }
  throw CocoaError(.fileNoSuchFile)
}

/// Choices that can be repeated.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
