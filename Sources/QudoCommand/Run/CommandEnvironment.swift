internal import Subprocess

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Adds variables to this process's environment, which stays the same byte for byte.
enum CommandEnvironment {
  static func adding(_ variables: [(name: String, value: String)]) -> Environment {
    var (entries, isUTF8, isPlain) = ([[UInt8]](), true, true)
    var next = environ
    while let entry = next.pointee {
      next += 1
      let bytes = Array(
        UnsafeBufferPointer(
          start: UnsafeRawPointer(entry).assumingMemoryBound(to: UInt8.self), count: strlen(entry)))  // unsafe: a C string
      if variables.contains(where: { bytes.starts(with: Array("\($0.name)=".utf8)) }) { continue }
      if String(validating: bytes, as: UTF8.self) == nil { isUTF8 = false }
      // `Subprocess` rejects such entries as bytes.
      guard let first = bytes.first, bytes.contains(UInt8(ascii: "=")),
        !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
      else {
        isPlain = false
        continue
      }
      entries.append(bytes + [0])
    }
    // As text, it accepts all names but replaces bytes that are not UTF-8.
    if isUTF8, !isPlain {
      return .inherit.updating(
        Dictionary(uniqueKeysWithValues: variables.map { (Environment.Key(rawValue: $0.name)!, $0.value) }))
    }
    for (name, value) in variables { entries.append(Array("\(name)=\(value)".utf8) + [0]) }
    return .custom(entries)
  }
}
