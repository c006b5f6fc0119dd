import Foundation
import Logging

/// A process that runs short of something: `ScarcityProcess ROLE FOLDER`. It prints its figures last; exit status 1, with what was
/// broken.
@main
struct ScarcityProcess {
  static func main() async {
    let arguments = CommandLine.arguments
    guard arguments.count >= 3 else { return fail("usage: ScarcityProcess ROLE FOLDER", 64) }
    do {
      say("figures: \(try await play(arguments[1], arguments[2], arguments.dropFirst(3).first))")
    } catch {
      fail("\(error)", 1)
    }
  }

  private static func play(_ role: String, _ folder: String, _ argument: String?) async throws -> String {
    switch role {
    case "memory": try await MemoryRole.calls(in: folder, only: argument)
    case "openings": try await MemoryRole.openings(in: folder)
    case "descriptors": try await LimitRole.descriptors(in: folder)
    case "room": try await LimitRole.room(in: folder)
    case "callers": try await CallersRole.run(in: folder)
    case "batch": try await BatchRole.run(in: folder)
    case "workers": try await WorkerRole.run(in: folder)
    default: throw Broken("there is no role \(role)")
    }
  }

  private static func fail(_ message: String, _ status: Int32) {
    say("broken: \(message)")
    exit(status)
  }
}

/// A line that is there even if this process comes to a bad end.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

/// Hears nothing.
let quiet = Logger(label: "scarcity") { _ in SwiftLogNoOpLogHandler() }
