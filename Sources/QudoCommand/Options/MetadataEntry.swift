internal import ArgumentParser
internal import Qudo

/// An entry of a job's metadata, as options give it: NAME=TEXT.
struct MetadataEntry: Equatable {
  let name: String
  let text: String

  /// - Parameter argument: The name up to the first equals sign, and the text, which may be empty.
  init(_ argument: String) throws {
    guard let sign = argument.utf8.firstIndex(of: UInt8(ascii: "=")), sign != argument.startIndex else {
      throw ValidationError("write metadata as NAME=TEXT")
    }
    name = String(argument[..<sign])
    text = String(argument[argument.utf8.index(after: sign)...])
  }

  /// - Throws: `ValidationError` for a name that is given twice.
  static func check(_ entries: [MetadataEntry]) throws {
    var names: Set<[UInt8]> = []
    for entry in entries where !names.insert(Array(entry.name.utf8)).inserted {
      throw ValidationError("--metadata \(entry.name) is given twice")
    }
  }
}

extension JobMetadata {
  init(_ entries: [MetadataEntry]) {
    self.init()
    for entry in entries { self[entry.name] = entry.text }
  }

  /// The entries as a JSON object, in the order in which they were written.
  var json: JSON { .object(names.map { ($0, .text(self[$0])) }) }
}
