public import ArgumentParser
internal import Qudo
public import QudoSQLite

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The option that every subcommand has.
struct Database: ParsableArguments {
  @Option(help: ArgumentHelp(
    "The database: a path, or sqlite:PATH.", discussion: "Else $QUDO_DATABASE, else qudo.db.", valueName: "database"))
  var database: String?

  @Option(help: "What a power cut may take: full (nothing acknowledged), normal (the last commits), off (the file).")
  var durability: SQLiteDriver.Durability = .full

  func open(create: Bool) throws -> SQLiteDriver {
    var path = database ?? getenv("QUDO_DATABASE").map { String(cString: $0) } ?? "qudo.db"
    if path.hasPrefix("sqlite:") { path.removeFirst("sqlite:".count) }
    if path.contains("://") { throw ValidationError("the database must be a path or sqlite:PATH") }
    return try SQLiteDriver(path: path, durability: durability, create: create)
  }
}

extension SQLiteDriver.Durability: ExpressibleByArgument {}

/// Results, and nothing else, go to standard output.
func printLine(_ text: String) { print(text) }

extension QudoCommand {
  /// `text` as a JSON string.
  static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}
