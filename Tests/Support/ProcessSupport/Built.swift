public import Foundation

/// A program that the build has put next to the test bundle.
public func built(_ name: String) throws -> URL {
  var place = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
  while place.path != "/" {
    let command = place.appendingPathComponent(name)
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: command.path, isDirectory: &isFolder), !isFolder.boolValue {
      return command
    }
    place.deleteLastPathComponent()
  }
  throw CocoaError(.fileNoSuchFile)
}
