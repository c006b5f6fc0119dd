internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// What the process was started with.
enum StartArguments {
  /// The program's name, then its arguments; empty if they cannot be known.
  static let all: [String] = pointers.map { String(cString: $0) }

  /// - Throws: for an argument that is not UTF-8, which Swift would replace, so that such a payload would be stored as another; and
  ///   where the arguments cannot be known.
  static func checked() throws -> [String] {
    guard !pointers.isEmpty else { throw CommandError("the arguments cannot be read: mount /proc") }
    for (index, argument) in pointers.enumerated().dropFirst() where String(validatingCString: argument) == nil {
      throw QudoError(.invalidArgument, "argument \(index) is not UTF-8: give such bytes with --lines, --null or --payload-file")
    }
    return all
  }

  private static var pointers: [UnsafePointer<CChar>] {
    let known = (0..<max(0, Int(CommandLine.argc))).compactMap { CommandLine.unsafeArgv[$0].map { UnsafePointer($0) } }
    return known.isEmpty ? onStack : known
  }

  /// Swift reads /proc/self/cmdline; where there is no /proc, the arguments are where the kernel has put them: on the stack below the
  /// environment, as a count, so many pointers, and a null pointer (System V ABI, "Initial Process Stack").
  private static var onStack: [UnsafePointer<CChar>] {
    #if os(Linux)
    let variables = UnsafeMutableRawPointer(environ)
    let word = MemoryLayout<UInt>.size
    // If another library has put the environment elsewhere, what is before it is anything. The stack grows down to here.
    let isOnStack = withUnsafePointer(to: 0) { here in  // unsafe: its address alone is used
      let distance = Int(bitPattern: variables) - Int(bitPattern: here)
      return distance > 0 && distance < 64 << 20
    }
    guard isOnStack, variables.load(fromByteOffset: -word, as: UInt.self) == 0 else { return [] }  // unsafe: on the stack, see above
    var found: [UnsafePointer<CChar>] = []
    for index in 0..<1_000_000 {
      let value = variables.load(fromByteOffset: -word * (2 + index), as: UInt.self)  // unsafe: at most to the count
      if value == UInt(index) { return found.reversed() }
      // The texts are above the pointers.
      guard value > UInt(bitPattern: variables), let text = UnsafePointer<CChar>(bitPattern: value) else { return [] }  // unsafe: argv
      found.append(text)
    }
    #endif
    return []
  }
}
