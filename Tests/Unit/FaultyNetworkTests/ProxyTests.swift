import FaultyNetwork
import Foundation
import Testing

#if canImport(Glibc)
import Glibc
private let stream = Int32(SOCK_STREAM.rawValue)
#elseif canImport(Darwin)
import Darwin
private let stream = SOCK_STREAM
#endif

/// The proxy does what it is told, before a server that sends back what it gets.
@Suite struct ProxyTests {
  let echo: Echo
  let proxy: Proxy

  init() throws {
    echo = try Echo()
    proxy = try Proxy(to: echo.port)
  }

  @Test func itPassesAllBytesBothWaysAndTheEnd() throws {
    let client = try Client(proxy.port)
    let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    Thread.detachNewThread {
      client.send(bytes)
      client.end()
    }
    #expect(client.receive(bytes.count) == bytes)
    #expect(client.receive(1) == [])
  }

  @Test func whatIsHeldArrivesWhenItIsHealed() throws {
    let client = try Client(proxy.port)
    client.send([1])
    #expect(client.receive(1) == [1])
    proxy.set(.holds)
    client.send([2, 3])
    #expect(client.isSilent(for: 200))
    proxy.heal()
    #expect(client.receive(2) == [2, 3])
  }

  @Test("Swallowed bytes never arrive, and healing cuts the connection", arguments: Proxy.Direction.allCases)
  func swallowedBytesNeverArrive(
    direction: Proxy.Direction
  ) throws {
    let client = try Client(proxy.port)
    proxy.set(.swallows, [direction])
    client.send([1])
    #expect(client.isSilent(for: 200))
    proxy.set(.passes)
    client.send([2])
    #expect(client.isSilent(for: 200))
    let other = try Client(proxy.port)
    other.send([3])
    #expect(other.receive(1) == [3])
    proxy.heal()
    #expect(client.receive(1) == nil)
    other.send([4])
    #expect(other.receive(1) == [4])
  }

  @Test func whatIsDelayedArrivesLaterAndInOrder() throws {
    let client = try Client(proxy.port)
    proxy.set(.delays(100), [.toServer])
    let start = ContinuousClock.now
    client.send([1])
    proxy.set(.passes)
    client.send([2])
    #expect(client.receive(2) == [1, 2])
    #expect(ContinuousClock.now - start < .seconds(30))
    proxy.set(.delays(150))
    let second = ContinuousClock.now
    client.send([3])
    #expect(client.receive(1) == [3])
    #expect(ContinuousClock.now - second >= .milliseconds(300))
  }

  @Test("The tail is truncated, and the connection is closed in order", arguments: Proxy.Direction.allCases)
  func tailIsTruncatedAndClosedInOrder(
    direction: Proxy.Direction
  ) throws {
    let client = try Client(proxy.port)
    proxy.set(.truncates(after: 3), [direction])
    client.send([1, 2, 3, 4, 5])
    #expect(client.receive(4) == (direction == .toClient ? [1, 2, 3] : []))
    let other = try Client(proxy.port)
    other.send([1, 2])
    #expect(other.receive(2) == [1, 2])
  }

  @Test func aCutIsAReset() throws {
    let client = try Client(proxy.port)
    client.send([1])
    #expect(client.receive(1) == [1])
    proxy.cut()
    #expect(client.receive(1) == nil)
    let half = try Client(proxy.port)
    half.send([1])
    #expect(half.receive(1) == [1])
    proxy.cut(.server)
    #expect(half.isSilent(for: 200))
    proxy.heal()
    #expect(half.receive(1) == nil)
  }

  @Test func whereNobodyListensConnectionsAreCut() throws {
    let proxy = try Proxy(to: 1)
    #expect(try Client(proxy.port).receive(1) == nil)
  }
}

/// Sends back what it gets, and the end as well.
final class Echo: Sendable {
  let port: UInt16
  private let listener: Int32

  init() throws {
    let listener = socket(AF_INET, stream, 0)
    self.listener = listener
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 16) == 0 ? getsockname(listener, $0, &length) : -1
      }
    }
    guard code == 0 else { throw POSIXError(.EIO) }
    port = UInt16(bigEndian: address.sin_port)
    Thread.detachNewThread {
      while true {
        let socket = accept(listener, nil, nil)
        guard socket >= 0 else { return }
        Thread.detachNewThread { Self.serve(socket) }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  private static func serve(_ socket: Int32) {
    defer { close(socket) }
    var buffer = [UInt8](repeating: 0, count: 10_000)
    while true {
      let count = recv(socket, &buffer, buffer.count, 0)
      guard count > 0 else { return }
      var sent = 0
      while sent < count {
        let part = buffer[sent..<count].withUnsafeBytes {
          send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard part > 0 else { return }
        sent += part
      }
    }
  }
}

/// Blocks.
final class Client: Sendable {
  private let socket: Int32

  init(_ port: UInt16) throws {
    socket = Foundation.socket(AF_INET, stream, 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard code == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
  }

  deinit { close(socket) }

  func send(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Foundation.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  func end() { shutdown(socket, Int32(SHUT_WR)) }

  /// Fewer when the connection ends before; nil when it is reset.
  func receive(_ count: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while bytes.count < count {
      guard !isSilent(for: 30_000) else { return nil }
      let part = recv(socket, &buffer, min(buffer.count, count - bytes.count), 0)
      guard part >= 0 else { return nil }
      guard part > 0 else { break }
      bytes += buffer[..<part]
    }
    return bytes
  }

  func isSilent(for milliseconds: Int32) -> Bool {
    var file = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    return poll(&file, 1, milliseconds) == 0
  }
}
