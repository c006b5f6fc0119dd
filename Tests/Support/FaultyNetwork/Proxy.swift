internal import Foundation

/// A TCP proxy on 127.0.0.1 in front of a server, which delays, holds, loses and cuts what passes through it.
///
/// One thread with poll(2) moves the bytes of all connections. A command returns when it is in force: each byte that the proxy reads
/// afterwards is treated by it.
public final class Proxy: Sendable {
  public enum Direction: Int, Sendable, CaseIterable {
    case toServer, toClient
  }

  /// What becomes of the bytes that the proxy reads in one direction.
  public enum Mode: Hashable, Sendable {
    case passes
    /// Everything arrives, so many milliseconds later.
    case delays(Int)
    /// Nothing arrives until the mode changes, and nothing is lost: a network that is down for a moment, while TCP repeats.
    case holds
    /// Nothing arrives, ends of connections neither, and both sides take the connection for open. A connection that has lost bytes
    /// passes nothing more in this direction, whatever the mode is later: see ``Proxy/cutDamaged()``.
    case swallows
    /// Each connection passes so many bytes more, loses the rest, and is closed in order.
    case truncates(after: Int)
  }

  /// Which ends of a connection get a reset.
  public enum Side: Sendable {
    case client, server, both
  }

  /// The port that clients connect to.
  public let port: UInt16
  private let mailbox: Mailbox

  /// - Parameter server: the port of the server on 127.0.0.1. It need not be there yet, and may go and come back.
  public init(to server: UInt16) throws {
    let (listener, port) = try Socket.listen()
    self.port = port
    let mailbox = try Mailbox()
    self.mailbox = mailbox
    Thread.detachNewThread { Relay(listener, to: server, mailbox).run() }
  }

  deinit { mailbox.send { $0.end() } }

  /// For connections that exist and for later ones.
  public func set(_ mode: Mode, _ directions: [Direction] = Direction.allCases) {
    mailbox.send { relay in
      for direction in directions { relay.set(mode, direction) }
    }
  }

  /// Cuts all connections with a reset (RST).
  ///
  /// - Parameter side: which end learns of it. The other end keeps a connection that is open and silent until ``cutDamaged()`` or
  ///   another cut.
  public func cut(_ side: Side = .both) { mailbox.send { $0.cut(side) } }

  /// Cuts the connections that have lost bytes or one of their ends.
  public func cutDamaged() { mailbox.send { $0.cutDamaged() } }

  /// Cuts all connections with a reset, and passes everything from now on, at one moment: what was on its way does not arrive, and no
  /// connection begins before the network is well again.
  public func startAnew() {
    mailbox.send { relay in
      relay.cut(.both)
      for direction in Direction.allCases { relay.set(.passes, direction) }
    }
  }

  /// Passes everything from now on, and cuts what cannot go on.
  public func heal() {
    mailbox.send { relay in
      for direction in Direction.allCases { relay.set(.passes, direction) }
      relay.cutDamaged()
    }
  }
}

/// Commands for a relay's thread, with a pipe that wakes it.
final class Mailbox: @unchecked Sendable {  // reason: `commands` is touched under `lock` only
  typealias Command = @Sendable (Relay) -> Void

  /// The end that has a byte when there are commands.
  let wake: Int32
  private let bell: Int32
  private let lock = NSLock()
  private var commands: [Command] = []

  init() throws { (wake, bell) = try Socket.pipe() }

  deinit {
    close(wake)
    close(bell)
  }

  /// Returns when the relay has carried it out.
  func send(_ command: @escaping Command) {
    let done = DispatchSemaphore(value: 0)
    lock.withLock {
      commands.append { relay in
        command(relay)
        done.signal()
      }
    }
    var byte: UInt8 = 0
    _ = write(bell, &byte, 1)
    done.wait()
  }

  func take() -> [Command] {
    var bytes = [UInt8](repeating: 0, count: 64)
    _ = read(wake, &bytes, bytes.count)
    return lock.withLock {
      defer { commands = [] }
      return commands
    }
  }
}
