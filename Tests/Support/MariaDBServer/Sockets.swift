import Foundation

#if canImport(Glibc)
import Glibc
private let stream = Int32(SOCK_STREAM.rawValue)
#elseif canImport(Darwin)
import Darwin
private let stream = SOCK_STREAM
#endif

/// The little that is needed of sockets.
enum Sockets {
  /// A free port of 127.0.0.1; another process may take it before it is used.
  static func freePort() throws -> UInt16 {
    let socket = socket(AF_INET, stream, 0)
    guard socket >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    defer { close(socket) }
    var address = local(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, length) == 0 ? getsockname(socket, $0, &length) : -1
      }
    }
    guard code == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    return UInt16(bigEndian: address.sin_port)
  }

  /// Whether a server is there and speaks first, as MySQL's do as soon as they take connections.
  static func speaks(_ port: UInt16, within seconds: Int) -> Bool {
    let socket = socket(AF_INET, stream, 0)
    guard socket >= 0 else { return false }
    defer { close(socket) }
    var address = local(port)
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard code == 0 else { return false }
    var ready = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    guard poll(&ready, 1, Int32(seconds * 1000)) == 1 else { return false }
    var byte: UInt8 = 0
    return recv(socket, &byte, 1, 0) == 1
  }

  /// A socket that listens on a free port of 127.0.0.1.
  static func listener() throws -> (socket: Int32, port: UInt16) {
    let socket = socket(AF_INET, stream, 0)
    guard socket >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    var address = local(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, length) == 0 ? getsockname(socket, $0, &length) : -1
      }
    }
    guard code == 0, listen(socket, 64) == 0 else {
      close(socket)
      throw POSIXError(.init(rawValue: errno) ?? .EIO)
    }
    return (socket, UInt16(bigEndian: address.sin_port))
  }

  /// Nil if nobody listens there.
  static func connected(to port: UInt16) -> Int32? {
    let socket = socket(AF_INET, stream, 0)
    guard socket >= 0 else { return nil }
    var address = local(port)
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard code == 0 else {
      close(socket)
      return nil
    }
    return socket
  }

  private static func local(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}
