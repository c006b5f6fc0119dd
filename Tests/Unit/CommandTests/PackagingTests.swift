import Foundation
import ProcessSupport
import Testing

/// What distributors need: the unit, the manual page, completions.
@Suite(.waitsForProcesses) struct PackagingTests {
  let place: CommandWorkspace
  private static let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..")
    .standardizedFileURL

  init() throws { place = try CommandWorkspace() }

  private func text(_ path: String) throws -> String {
    try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
  }

  @Test("the article shows the unit as it is") func article() throws {
    let unit = try text("Sources/QudoCommand/Packaging/qudo.service")
    #expect(try text("Sources/Qudo/Qudo.docc/Operating.md").contains("```ini\n\(unit)```"))
  }

  private static let hasVerifier = FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze")

  @Test("systemd accepts the unit", .enabled(if: hasVerifier, "needs systemd-analyze")) func unit() throws {
    let unit = try text("Sources/QudoCommand/Packaging/qudo.service")
      .replacing("/usr/local/bin/qudo", with: try built("qudo").path)
    try unit.write(toFile: place.path("qudo.service"), atomically: false, encoding: .utf8)
    let result = try place.shell("systemd-analyze verify --man=no --recursive-errors=no ./qudo.service 2>&1")
    #expect(result.status == 0 && result.output == "")
  }

  @Test("the unit's command line is valid") func commandLine() throws {
    let unit = try text("Sources/QudoCommand/Packaging/qudo.service")
    let line = try #require(unit.firstMatch(of: /ExecStart=\/usr\/local\/bin\/qudo (.*)/))
    // Quotes mean the same to a shell here.
    let result = try place.shell("exec \"$qudo\" \(line.1) --until-empty")
    #expect(result.status == 0 && result.errors == "qudo: completed 0, failed 0, retried 0\n")
  }

  @Test("the manual page has each command and option") func manual() throws {
    let page = try text("Sources/QudoCommand/Packaging/qudo.1").replacing("\\-", with: "-")
    let help = try place.qudo("--experimental-dump-help")
    let root = try #require(try JSONSerialization.jsonObject(with: help.bytes) as? [String: Any])
    var commands: [(names: [String], [String: Any])] = [
      (["qudo"], try #require(root["command"] as? [String: Any]))
    ]
    var count = 0
    while let (names, command) = commands.popLast() {
      guard command["shouldDisplay"] as? Bool != false, names.last != "help" else { continue }
      for child in command["subcommands"] as? [[String: Any]] ?? [] {
        commands.append((names + [child["commandName"] as? String ?? ""], child))
      }
      guard names.count > 1 else { continue }
      count += 1
      let heading = ".SS \"\(names.joined(separator: " "))\"\n"
      let start = try #require(page.range(of: heading), "\(names) is missing: run .ci/manual")
      let section = page[start.upperBound...].prefix(while: { _ in true }).components(separatedBy: "\n.SS ")[
        0]
      for argument in command["arguments"] as? [[String: Any]] ?? []
      where argument["shouldDisplay"] as? Bool != false {
        for name in argument["names"] as? [[String: Any]] ?? [] where name["kind"] as? String == "long" {
          let option = name["name"] as? String ?? ""
          guard option != "help", option != "version" else { continue }
          #expect(
            section.contains("\\fB--\(option)\\fR"), "--\(option) of \(names) is missing: run .ci/manual")
        }
      }
    }
    #expect(count > 25)
  }

  @Test("bash can read its completions") func completions() throws {
    let result = try place.shell(
      "\"$qudo\" --generate-completion-script bash > qudo.bash && bash -n qudo.bash")
    #expect(result.status == 0 && result.errors == "")
    #expect(try place.text("qudo.bash").contains("complete -o filenames -F _qudo qudo"))
    for shell in ["zsh", "fish"] {
      #expect(try place.qudo("--generate-completion-script", shell).output.contains("qudo"))
    }
  }
}
