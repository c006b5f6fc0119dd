internal import Qudo

/// The arguments of the process.
enum StartArguments {
  /// The program's name and its arguments; empty if they cannot be read.
  static let all: [String] = pointers.map { String(cString: $0) }

  /// Returns the program's name and its arguments, once they are checked.
  ///
  /// - Throws: if an argument is not UTF-8, since Swift would replace its bytes and store a different
  ///   payload; and if the arguments cannot be read.
  static func checked() throws -> [String] {
    // Swift reads them from /proc/self/cmdline. There are other ways, but without /proc/TID/stat of its
    // threads libdispatch occasionally ends the process with a trap.
    guard !pointers.isEmpty else {
      throw CommandError(
        "cannot read the arguments: /proc is missing. Mount it, for instance with mount -t proc proc /proc")
    }
    for (index, argument) in pointers.enumerated().dropFirst()
    where String(validatingCString: argument) == nil {
      throw QudoError(
        .invalidArgument,
        "argument \(index) is not UTF-8. Pass such bytes with --lines, --null or --payload-file")
    }
    return all
  }

  private static var pointers: [UnsafePointer<CChar>] {
    (0..<max(0, Int(CommandLine.argc))).compactMap { CommandLine.unsafeArgv[$0].map { UnsafePointer($0) } }
  }
}
