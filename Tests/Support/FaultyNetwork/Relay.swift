internal import Foundation

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The connections of a proxy and what becomes of their bytes. Only the proxy's thread has it.
final class Relay {
  private let listener: Int32
  private let server: UInt16
  private let mailbox: Mailbox
  private var links: [Link] = []
  private var modes: [Proxy.Mode] = [.passes, .passes]
  private var isOver = false

  init(_ listener: Int32, to server: UInt16, _ mailbox: Mailbox) {
    (self.listener, self.server, self.mailbox) = (listener, server, mailbox)
  }

  static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

  func run() {
    while !isOver {
      wait()
      for command in mailbox.take() { command(self) }
      guard !isOver else { break }
      while let client = Socket.accept(listener) {
        // As a server that is not there, but later.
        guard let server = Socket.connect(server) else {
          Socket.reset(client)
          continue
        }
        links.append(Link(client, server, modes))
      }
      for link in links { link.move() }
      links.removeAll { $0.isOver }
    }
    close(listener)
    for link in links { link.cut(.both) }
  }

  /// Until something can be done.
  private func wait() {
    let now = Self.now
    var files = [
      pollfd(fd: mailbox.wake, events: Int16(POLLIN), revents: 0),
      pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
    ]
    var next = UInt64.max
    for link in links {
      files += link.files(now)
      next = min(next, link.nextDue(now))
    }
    let pause = next == .max ? -1 : Int32(clamping: (next - min(next, now)) / 1_000_000 + 1)
    poll(&files, nfds_t(files.count), pause)
  }

  // MARK: Commands

  func set(_ mode: Proxy.Mode, _ direction: Proxy.Direction) {
    modes[direction.rawValue] = mode
    for link in links { link.set(mode, direction) }
  }

  func cut(_ side: Proxy.Side) {
    for link in links { link.cut(side) }
  }

  func cutDamaged() {
    for link in links where link.isDamaged { link.cut(.both) }
  }

  func end() { isOver = true }
}
