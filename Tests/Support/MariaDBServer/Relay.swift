import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Without the signal of a socket that is closed at the other end.
private func systemSend(_ socket: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  #if canImport(Glibc)
  send(socket, bytes, count, Int32(MSG_NOSIGNAL))
  #else
  send(socket, bytes, count, 0)
  #endif
}

/// A port of 127.0.0.1 that leads to a server's, reads the protocol on its way, and can lead elsewhere.
public final class Relay: @unchecked Sendable {  // reason: `state` is touched under `lock` only
  private struct State {
    var target: UInt16
    var commands: [Int] = []
    var swallows: (text: [UInt8], count: Int)?
    var isClosed = false
  }

  public let port: UInt16
  private let listener: Int32
  private let lock = NSLock()
  private var state: State

  /// - Parameter port: The port of the server.
  public init(to port: UInt16) throws {
    (listener, self.port) = try Sockets.listener()
    state = State(target: port)
    Thread.detachNewThread { [weak self, listener] in
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0, let self, let server = Sockets.connected(to: lock.withLock({ state.target }))
        else {
          if client >= 0 { close(client) }
          if self?.lock.withLock({ self?.state.isClosed }) ?? true { return }
          continue
        }
        run(client, server)
      }
    }
  }

  /// Ends the thread that accepts.
  public func stop() {
    lock.withLock { state.isClosed = true }
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  /// Where connections lead that are opened from now on.
  public func lead(to port: UInt16) { lock.withLock { state.target = port } }

  /// The number of commands of each connection, in the order in which they were opened: what a client asks and waits
  /// for.
  public var commands: [Int] { lock.withLock { state.commands } }

  /// Keeps the answers from the client after the first of so many texts that have `text` in them, as if the server had
  /// forgotten them.
  public func swallowAnswers(to text: String, count: Int = 1) {
    lock.withLock { state.swallows = (Array(text.utf8), count) }
  }

  /// How many texts are still to be left without answers.
  public var left: Int { lock.withLock { state.swallows?.count ?? 0 } }

  private func run(_ client: Int32, _ server: Int32) {
    let index = lock.withLock {
      state.commands.append(0)
      return state.commands.count - 1
    }
    let flow = Flow()
    Thread.detachNewThread { [self] in
      while let (packet, isFirst) = Self.packet(client) {
        lock.withLock {
          // COM_QUIT asks for nothing.
          if isFirst, packet.count > 4, packet[4] != 1 { state.commands[index] += 1 }
          if let swallows = state.swallows, swallows.count > 0, packet.firstRange(of: swallows.text) != nil {
            state.swallows?.count -= 1
            flow.swallow(after: 1)
          }
        }
        guard Self.send(packet, server) else { break }
      }
      shutdown(server, Int32(SHUT_RDWR))
      shutdown(client, Int32(SHUT_RDWR))
      flow.end {
        close(client); close(server)
      }
    }
    Thread.detachNewThread {
      while let (packet, _) = Self.packet(server) {
        guard flow.passes() else { continue }
        guard Self.send(packet, client) else { break }
      }
      shutdown(client, Int32(SHUT_RDWR))
      shutdown(server, Int32(SHUT_RDWR))
      flow.end {
        close(client); close(server)
      }
    }
  }

  /// What the two threads of a connection share.
  private final class Flow: @unchecked Sendable {  // reason: all is touched under `lock` only
    private let lock = NSLock()
    private var rest: Int?
    private var ends = 0

    func swallow(after count: Int) { lock.withLock { rest = count } }

    func passes() -> Bool {
      lock.withLock {
        guard let left = rest else { return true }
        rest = max(0, left - 1)
        return left > 0
      }
    }

    /// The second one closes.
    func end(_ body: () -> Void) {
      let isLast = lock.withLock {
        ends += 1
        return ends == 2
      }
      if isLast { body() }
    }
  }

  /// A packet with its four bytes of header, and whether it begins an exchange; nil at the end.
  private static func packet(_ socket: Int32) -> ([UInt8], Bool)? {
    guard let header = read(socket, 4),
      let body = read(socket, Int(header[0]) | Int(header[1]) << 8 | Int(header[2]) << 16)
    else { return nil }
    return (header + body, header[3] == 0)
  }

  private static func read(_ socket: Int32, _ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = bytes.withUnsafeMutableBytes {
        recv(socket, $0.baseAddress.map { $0 + done }, count - done, 0)
      }
      guard got > 0 else { return nil }
      done += got
    }
    return bytes
  }

  private static func send(_ bytes: [UInt8], _ socket: Int32) -> Bool {
    var done = 0
    while done < bytes.count {
      let sent = bytes.withUnsafeBytes {
        systemSend(socket, $0.baseAddress.map { $0 + done }, bytes.count - done)
      }
      guard sent > 0 else { return false }
      done += sent
    }
    return true
  }
}
