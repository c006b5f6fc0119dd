import Foundation
import Testing

/// A terminal in which a test runs commands and looks at the screen: a pane of a tmux server of its own.
final class TmuxSession {
  private let place: CommandWorkspace

  private static let exists = ["/usr/bin/tmux", "/usr/local/bin/tmux", "/opt/homebrew/bin/tmux"].contains {
    FileManager.default.isExecutableFile(atPath: $0)
  }
  /// In CI, a missing tmux is a failure.
  static let isWanted = exists || ProcessInfo.processInfo.environment["QUDO_CI"] != nil

  init(_ place: CommandWorkspace, columns: Int, rows: Int) throws {
    self.place = place
    // A shell with job control and a prompt that nothing else prints.
    try tmux("new-session -d -x \(columns) -y \(rows) \"exec env PS1='ready> ' LC_ALL=C.UTF-8 sh -i\"")
    try until("a prompt") { $0.contains("ready>") }
  }

  deinit { _ = try? tmux("kill-server") }

  @discardableResult
  private func tmux(_ arguments: String) throws -> String {
    let result = try place.shell("LC_ALL=C.UTF-8 TMUX= exec tmux -u -S ./tmux -f /dev/null \(arguments)")
    try #require(result.status == 0, "tmux \(arguments): \(result.errors)")
    return result.output
  }

  /// Presses keys, named as tmux names them.
  func press(_ keys: String...) throws {
    try tmux("send-keys " + keys.map { "'\($0)'" }.joined(separator: " "))
  }

  /// Types a line of shell.
  func run(_ line: String) throws {
    try tmux("send-keys -l '\(line)'")
    try press("Enter")
  }

  /// Pastes text as a terminal does: with marks around it if the program asked for them.
  func paste(_ text: String) throws {
    try tmux("set-buffer -- '\(text)'")
    try tmux("paste-buffer -p")
  }

  func resize(_ columns: Int, _ rows: Int) throws { try tmux("resize-window -x \(columns) -y \(rows)") }

  var screen: [String] {
    get throws { try tmux("capture-pane -p").components(separatedBy: "\n") }
  }

  /// Whether a program has the alternate screen, and whether the cursor is shown.
  var modes: String { get throws { try tmux("display -p '#{alternate_on} #{cursor_flag}'") } }

  /// Waits for something on the screen.
  func until(_ what: String, _ isSo: (String) throws -> Bool) throws {
    let end = Date(timeIntervalSinceNow: Double(waitLimit))
    while true {
      let text = try tmux("capture-pane -p")
      if try isSo(text) { return }
      guard Date() < end else { throw GaveUp(description: "\(what) never came:\n\(text)") }
      usleep(20_000)
    }
  }

  /// Waits until the program has taken the terminal, or has given it back.
  func untilTaken(_ isTaken: Bool) throws {
    let wanted = isTaken ? "1 0\n" : "0 1\n"
    try until(isTaken ? "the alternate screen" : "the end") { _ in try modes == wanted }
  }

  /// Waits until the shell reads the next line: a program that ends restores the input after it has left the screen.
  func untilPrompt() throws {
    try until("the prompt") { screen in
      screen.split(separator: "\n").last { !$0.allSatisfy(\.isWhitespace) }?
        .trimmingCharacters(in: .whitespaces) == "ready>"
    }
  }
}
