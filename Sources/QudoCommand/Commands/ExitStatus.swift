internal import ArgumentParser
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The command failed, and this is why.
struct CommandError: Error, CustomStringConvertible {
  let description: String
  /// What the command exits with.
  let status: Int32

  init(_ description: String, status: Int32 = EXIT_FAILURE) {
    (self.description, self.status) = (description, status)
  }
}

extension QudoError.Code {
  /// What the command exits with.
  var exitStatus: Int32 {
    switch self {
    case .invalidArgument: EX_USAGE
    case .cannotOpen, .tooManyFiles, .busy, .unreachable: EX_TEMPFAIL
    default: EXIT_FAILURE
    }
  }
}

enum Exit {
  /// Says what went wrong, and ends the process with the status for it.
  static func leave(with error: any Error) -> Never {
    switch error {
    case is ClosedOutput:
      exit(EXIT_FAILURE)  // Nobody reads any more: there is nothing to say.
    case let error as QudoError:
      printError(Self.line("\(error)"))
      exit(error.code.exitStatus)
    case let error as CommandError:
      printError(Self.line(error.description))
      exit(error.status)
    case let code as ExitCode:
      exit(code.rawValue)
    default:
      leave(withUsage: error)
    }
  }

  /// Further lines are set in: a path, or what a file has, must not look like a message of its own.
  private static func line(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).enumerated().map {
      $0 == 0 || $1.hasPrefix(" ") ? String($1) : "  \($1)"
    }.joined(separator: "\n")
  }

  /// Help, a version, or what the parser did not understand.
  private static func leave(withUsage error: any Error) -> Never {
    let status = QudoCommand.exitCode(for: error)
    guard status != .success else {
      _ = try? Output.line(QudoCommand.fullMessage(for: error))  // A reader that goes away has had enough of the help.
      exit(EXIT_SUCCESS)
    }
    let text = QudoCommand.fullMessage(for: error)
    printError(text.hasPrefix("Error: ") ? String(text.dropFirst("Error: ".count)) : text)
    exit(status == .validationFailure ? EX_USAGE : status.rawValue)
  }
}
