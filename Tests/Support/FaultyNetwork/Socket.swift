internal import Foundation

#if canImport(Glibc)
internal import Glibc
private let stream = Int32(SOCK_STREAM.rawValue)
private let quiet = Int32(MSG_NOSIGNAL)
#elseif canImport(Darwin)
internal import Darwin
private let stream = SOCK_STREAM
private let quiet: Int32 = 0
#endif

/// Sockets that never block.
enum Socket {
  static var failure: POSIXError { POSIXError(.init(rawValue: errno) ?? .EIO) }

  /// At a free port of 127.0.0.1.
  static func listen() throws -> (socket: Int32, port: UInt16) {
    let socket = try open()
    var address = local(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, length) == 0 && Self.start(socket) ? getsockname(socket, $0, &length) : -1
      }
    }
    guard code == 0 else {
      defer { close(socket) }
      throw failure
    }
    return (socket, UInt16(bigEndian: address.sin_port))
  }

  private static func start(_ socket: Int32) -> Bool {
    #if canImport(Glibc)
    Glibc.listen(socket, 128) == 0
    #else
    Darwin.listen(socket, 128) == 0
    #endif
  }

  /// - Returns: nil if nobody waits.
  static func accept(_ listener: Int32) -> Int32? {
    #if canImport(Glibc)
    let socket = Glibc.accept(listener, nil, nil)
    #else
    let socket = Darwin.accept(listener, nil, nil)
    #endif
    guard socket >= 0 else { return nil }
    setUp(socket)
    return socket
  }

  /// Begins to connect; the socket can be written to when it is connected.
  ///
  /// - Returns: nil if that was refused at once.
  static func connect(_ port: UInt16) -> Int32? {
    guard let socket = try? open() else { return nil }
    var address = local(port)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        #if canImport(Glibc)
        Glibc.connect(socket, address, socklen_t(MemoryLayout<sockaddr_in>.size))
        #else
        Darwin.connect(socket, address, socklen_t(MemoryLayout<sockaddr_in>.size))
        #endif
      }
    }
    guard code == 0 || errno == EINPROGRESS else {
      close(socket)
      return nil
    }
    return socket
  }

  static func pipe() throws -> (reads: Int32, writes: Int32) {
    var ends: [Int32] = [0, 0]
    #if canImport(Glibc)
    let code = Glibc.pipe(&ends)
    #else
    let code = Darwin.pipe(&ends)
    #endif
    guard code == 0 else { throw failure }
    for end in ends {
      closeInChildren(end)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    return (ends[0], ends[1])
  }

  static func send(_ socket: Int32, _ bytes: ArraySlice<UInt8>) -> Int {
    bytes.withUnsafeBytes { buffer in
      #if canImport(Glibc)
      Glibc.send(socket, buffer.baseAddress, buffer.count, quiet)
      #else
      Darwin.send(socket, buffer.baseAddress, buffer.count, quiet)
      #endif
    }
  }

  static var wouldBlock: Bool { errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR }

  /// Closes it so that the other side gets a reset.
  static func reset(_ socket: Int32) {
    var now = linger(l_onoff: 1, l_linger: 0)
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    close(socket)
  }

  private static func open() throws -> Int32 {
    let socket = socket(AF_INET, stream, 0)
    guard socket >= 0 else { throw failure }
    setUp(socket)
    return socket
  }

  private static func setUp(_ socket: Int32) {
    closeInChildren(socket)
    _ = fcntl(socket, F_SETFL, O_NONBLOCK)
    var yes: Int32 = 1
    setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    #if canImport(Darwin)
    setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &yes, socklen_t(MemoryLayout<Int32>.size))
    #endif
  }

  private static func closeInChildren(_ file: Int32) { _ = fcntl(file, F_SETFD, FD_CLOEXEC) }

  private static func local(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}
