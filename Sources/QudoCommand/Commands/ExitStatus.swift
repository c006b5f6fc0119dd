internal import ArgumentParser
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// An error with the message and the exit status of the command.
struct CommandError: Error, CustomStringConvertible {
  let description: String
  /// The exit status of the command.
  let status: Int32

  init(_ description: String, status: Int32 = EXIT_FAILURE) {
    (self.description, self.status) = (description, status)
  }
}

extension QudoError.Code {
  /// The exit status of the command.
  var exitStatus: Int32 {
    switch self {
    case .invalidArgument: EX_USAGE
    case .cannotOpen, .tooManyFiles, .busy, .unreachable, .queueFull: EX_TEMPFAIL
    default: EXIT_FAILURE
    }
  }
}

enum Exit {
  /// Prints the error and exits with its status.
  static func leave(with error: any Error) -> Never {
    switch error {
    case is ClosedOutput:
      exit(EXIT_FAILURE)  // The reader closed the pipe, so there is nothing to report.
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

  /// Indents all lines but the first, so that a line break in a path or in file content cannot fake a
  /// message.
  private static func line(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).enumerated().map {
      $0 == 0 || $1.hasPrefix(" ") ? String($1) : "  \($1)"
    }.joined(separator: "\n")
  }

  /// Prints help, the version, or a parser error.
  private static func leave(withUsage error: any Error) -> Never {
    let status = QudoCommand.exitCode(for: error)
    guard status != .success else {
      _ = try? Output.line(QudoCommand.fullMessage(for: error))  // A reader may close the pipe early.
      exit(EXIT_SUCCESS)
    }
    let text = QudoCommand.fullMessage(for: error)
    printError(text.hasPrefix("Error: ") ? String(text.dropFirst("Error: ".count)) : text)
    exit(status == .validationFailure ? EX_USAGE : status.rawValue)
  }
}
