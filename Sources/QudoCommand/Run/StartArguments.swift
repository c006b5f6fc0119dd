internal import Qudo

/// What the process was started with.
enum StartArguments {
  /// The program's name, then its arguments; empty if they cannot be known.
  static let all: [String] = pointers.map { String(cString: $0) }

  /// - Throws: for an argument that is not UTF-8, which Swift would replace, so that such a payload would be stored as another; and
  ///   where the arguments cannot be known.
  static func checked() throws -> [String] {
    // Swift reads them from /proc/self/cmdline. They could be found otherwise, but libdispatch ends the process by a trap, now and then,
    // where it finds no /proc/TID/stat of its threads.
    guard !pointers.isEmpty else {
      throw CommandError(
        "cannot read the arguments: /proc is missing. Mount it, for instance with mount -t proc proc /proc")
    }
    for (index, argument) in pointers.enumerated().dropFirst()
    where String(validatingCString: argument) == nil {
      throw QudoError(
        .invalidArgument,
        "argument \(index) is not UTF-8: give such bytes with --lines, --null or --payload-file")
    }
    return all
  }

  private static var pointers: [UnsafePointer<CChar>] {
    (0..<max(0, Int(CommandLine.argc))).compactMap { CommandLine.unsafeArgv[$0].map { UnsafePointer($0) } }
  }
}
