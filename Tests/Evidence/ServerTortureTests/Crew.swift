#if MySQL
import Foundation
import ProcessSupport
import Qudo
import QudoTesting

/// The processes that enqueue, control and work, each with a log of its own and a file for what it says on its error output.
final class Crew: Sendable {
  enum Role: String {
    case enqueuer = "server-enqueue"
    /// A worker of all databases.
    case worker = "server-work"
    /// A worker for each of them.
    case workers = "server-work-each"
    /// Cancels, changes, pauses and recovers jobs.
    case controller = "server-control"

    var works: Bool { self == .worker || self == .workers }
  }

  private struct Member {
    let role: Role
    let process: ChildProcess
    let number: Int
  }

  private struct State {
    /// In the order of their numbers, so that a seed finds the same ones.
    var members: [Member] = []
    var started = 0
    var killed: [Int: UInt64] = [:]
    var endings: [String] = []
  }

  let folder: URL
  private let places: [TorturedServer]
  private let seed: UInt64
  private let state = Locked(State())

  init(_ places: [TorturedServer], seed: UInt64) throws {
    (self.places, self.seed) = (places, seed)
    folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-torture-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
  }

  deinit {
    for member in state.withLock({ $0.members }) { member.process.kill(SIGKILL) }
    try? FileManager.default.removeItem(at: folder)
  }

  func start(_ roles: [Role]) throws {
    for role in roles {
      let member = try spawn(role)
      state.withLock { state in
        state.members.append(member)
        state.members.sort { $0.number < $1.number }
      }
    }
  }

  private func spawn(_ role: Role) throws -> Member {
    let number = state.withLock { state in
      state.started += 1
      return state.started
    }
    let null = try FileHandle(forUpdating: URL(fileURLWithPath: "/dev/null"))
    let error = folder.appendingPathComponent("\(number).err")
    try Data().write(to: error)
    let file = try FileHandle(forWritingTo: error)
    defer {
      try? null.close()
      try? file.close()
    }
    // Which one comes first is which one is opened first.
    let urls = (number % 2 == 0 ? places : places.reversed()).map { $0.url(isHasty: role != .workers) }
    let process = try ChildProcess(
      try built("TortureProcess").path,
      [
        role.rawValue, urls.joined(separator: ","), folder.appendingPathComponent("\(number).log").path,
        "\((seed << 16) + UInt64(number))",
      ],
      files: (null.fileDescriptor, file.fileDescriptor, file.fileDescriptor))
    return Member(role: role, process: process, number: number)
  }

  /// Kills an enqueuer or a controller with SIGKILL, and starts another one.
  func kill(_ role: Role, _ random: inout Seeded, pause: Duration) throws {
    let choice = random.next()
    let victim = state.withLock { state -> Member? in
      let places = state.members.indices.filter { state.members[$0].role == role }
      // Whoever is taken out first is nobody else's victim, and has not ended by itself.
      return places.isEmpty ? nil : state.members.remove(at: places[Int(choice % UInt64(places.count))])
    }
    guard let victim else { return }
    end(victim)
    wait(pause)
    try start([victim.role])
  }

  /// Kills the workers with SIGKILL, and starts one or two others: most of the time one has to do for all.
  func killWorkers(_ random: inout Seeded, pause: Duration) throws {
    let roles = [[Role.worker], [.workers], [.worker, .workers]].randomElement(using: &random) ?? []
    let victims = state.withLock { state in
      let victims = state.members.filter(\.role.works)
      state.members.removeAll(where: \.role.works)
      return victims
    }
    // None is there while the other server's turn has killed them.
    guard !victims.isEmpty else { return }
    for victim in victims { end(victim) }
    wait(pause)
    try start(roles)
  }

  private func end(_ member: Member) {
    guard member.process.isRunning else { return note(member) }
    member.process.kill(SIGKILL)
    let time = DispatchTime.now().uptimeNanoseconds
    _ = member.process.end(within: 60)
    state.withLock { $0.killed[member.number] = time }
  }

  private func note(_ member: Member) {
    let words =
      (try? String(contentsOf: folder.appendingPathComponent("\(member.number).err"), encoding: .utf8)) ?? ""
    let status = member.process.end(within: 0) ?? -1
    state.withLock {
      $0.endings.append(
        "\(member.role.rawValue) \(member.number) ended by itself with \(status): \(words.suffix(400))")
    }
  }

  /// Starts others in the place of those that ended by themselves, which none should do.
  func replaceEnded() throws {
    let ended = state.withLock { state in
      let ended = state.members.filter { !$0.process.isRunning }
      state.members.removeAll { !$0.process.isRunning }
      return ended
    }
    for member in ended { note(member) }
    try start(ended.map(\.role))
  }

  func stop(_ roles: Set<Role>) {
    let members = state.withLock { state in
      let members = state.members.filter { roles.contains($0.role) }
      state.members.removeAll { roles.contains($0.role) }
      return members
    }
    for member in members { end(member) }
  }

  /// When each that was killed was killed, by its number.
  var killed: [Int: UInt64] { state.withLock { $0.killed } }

  /// Those that ended by themselves, and what others have said of themselves.
  func complaints() throws -> [String] {
    var complaints = state.withLock { $0.endings }
    for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    where file.pathExtension == "err" {
      let text = try String(contentsOf: file, encoding: .utf8)
      if text.contains("leaked its continuation") {
        complaints.append("a continuation was leaked: \(text.prefix(400))")
      }
    }
    return complaints
  }
}

/// Blocks the thread, which must not be one of Swift's pool.
func wait(_ duration: Duration) { usleep(UInt32(max(0, duration / .microseconds(1)))) }
#endif
