internal import Qudo
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A time zone database: folders that have a TZif file for each zone.
struct ZoneDatabase {
  let folders: [String]

  /// The system's database.
  static func system() -> ZoneDatabase {
    if let folder = getenv("TZDIR").map({ String(cString: $0) }), !folder.isEmpty {
      return ZoneDatabase(folders: [folder])
    }
    return ZoneDatabase(folders: ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"])
  }

  /// Reads the file of a zone.
  ///
  /// - Throws: ``QudoError/Code/invalidArgument`` if there is no such zone, ``QudoError/Code/cannotOpen`` if
  ///   there is no database, or the file cannot be read.
  func file(named name: String) throws(QudoError) -> [UInt8] {
    guard Self.isName(name) else {
      throw QudoError(
        .invalidArgument,
        "'\(CronParser.shown(name.utf8))' is not the name of a time zone: give one such as Europe/Berlin "
          + "or UTC")
    }
    for folder in folders {
      let path = folder + "/" + name
      switch Self.read(path) {
      case .bytes(let bytes) where bytes.starts(with: "TZif".utf8): return bytes
      case .refused(let code):
        throw QudoError(
          .cannotOpen, "cannot read \(path): \(String(cString: strerror(code))). Make it readable.")
      case .bytes, .absent: continue
      }
    }
    let places = folders.joined(separator: ", ")
    // Each database has this zone.
    guard folders.contains(where: { access($0 + "/Etc/UTC", F_OK) == 0 || access($0 + "/UTC", F_OK) == 0 })
    else {
      throw QudoError(
        .cannotOpen,
        "there is no time zone database in \(places): install the package tzdata, or set TZDIR to its folder")
    }
    throw QudoError(
      .invalidArgument,
      "there is no time zone \(name) in \(places): check its spelling and case, as in Europe/Berlin; Debian "
        + "and Ubuntu have old names in the package tzdata-legacy")
  }

  /// Names have letters, digits, `_`, `+` and `-` between slashes. So they never leave the folder.
  private static func isName(_ name: String) -> Bool {
    // These are the system's own zone, which differs between machines.
    guard name.utf8.count <= 64, name != "localtime", name != "posixrules" else { return false }
    return name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy {
      !$0.isEmpty && $0.allSatisfy(isAllowed)
    }
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  private enum Reading { case bytes([UInt8]), absent, refused(Int32) }

  /// Reads a file, up to one byte more than a zone may have.
  private static func read(_ path: String) -> Reading {
    // Opening a pipe must not wait for its writer.
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { return errno == ENOENT || errno == ENOTDIR ? .absent : .refused(errno) }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: TZif.maxSize + 1)
    var count = 0
    while count < bytes.count {
      let (read, code) = bytes[count...].withUnsafeMutableBytes { rest in
        (systemRead(file, rest), errno)
      }
      if read < 0, code == EINTR { continue }
      // A folder such as Europe is no zone.
      if read < 0 { return code == EISDIR ? .absent : .refused(code) }
      if read == 0 { break }
      count += read
    }
    return .bytes(Array(bytes.prefix(count)))
  }
}

private func systemRead(_ file: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
  read(file, buffer.baseAddress, buffer.count)
}
