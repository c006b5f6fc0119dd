internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A resolver of symbolic links that refuses links that another user may have put in the path.
///
/// `realpath` follows every link: it reads them by `readlink`, which the kernel's `fs.protected_symlinks` does not look at.
enum PathResolver {
  private static let mostLinks = 40

  /// - Returns: An absolute path without links, `.` or `..`. Its folder exists; the file need not.
  static func resolve(_ path: String) throws(QudoError) -> String {
    try checkNamesFile(path)
    var folder = path.hasPrefix("/") ? "" : try currentFolder()
    var rest = Array(parts(path).reversed())
    var links = 0
    while let part = rest.popLast() {
      if part == "." { continue }
      if part == ".." {
        // No part of `folder` is a link, so the parent is its text without the last part.
        folder = folder.lastIndex(of: "/").map { String(folder[..<$0]) } ?? ""
        continue
      }
      let next = "\(folder)/\(part)"
      guard let status = try look(next) else {
        guard rest.isEmpty else {
          throw QudoError(.cannotOpen, "the folder \(next) does not exist: create it, or use another path")
        }
        return next
      }
      if status.isLink {
        links += 1
        let target = try follow(next, status, in: folder, isLast: rest.isEmpty)
        guard links <= mostLinks else {
          throw QudoError(
            .cannotOpen,
            "the path leads through more than \(mostLinks) symbolic links, perhaps in a circle: give the path of the file"
          )
        }
        if target.hasPrefix("/") { folder = "" }
        rest += parts(target).reversed()
      } else {
        guard rest.isEmpty || status.isFolder else {
          throw QudoError(.cannotOpen, "\(next) is not a folder: use another path")
        }
        folder = next
      }
    }
    return folder.isEmpty ? "/" : folder
  }

  private static func parts(_ path: String) -> [Substring] { path.split(separator: "/") }

  /// "A pathname that contains at least one non-slash character and that ends with one or more trailing slashes shall not be resolved
  /// successfully unless the last pathname component ... names an existing directory": POSIX, Pathname Resolution. SQLite drops them.
  private static func checkNamesFile(_ path: String) throws(QudoError) {
    if path.hasSuffix("/") || [".", ".."].contains(parts(path).last) {
      throw QudoError(.cannotOpen, "the path names a folder, which cannot be opened: give the path of a file")
    }
  }

  private static func currentFolder() throws(QudoError) -> String {
    guard let text = getcwd(nil, 0) else {
      throw QudoError(
        .cannotOpen, "the current folder cannot be found (\(Self.reason)): give an absolute path")
    }
    defer { free(text) }
    let folder = String(cString: text)
    return folder == "/" ? "" : folder
  }

  /// Returns the status of a path, or nil if nothing exists there.
  private static func look(_ path: String) throws(QudoError) -> FileStatus? {
    if let status = FileStatus(path) { return status }
    switch errno {
    case ENOENT: return nil
    case ENAMETOOLONG: throw DatabasePath.tooLong
    default:
      throw QudoError(
        .cannotOpen,
        "\(path) cannot be reached (\(Self.reason)): check the rights of the folders above it, or use another path"
      )
    }
  }

  private static var reason: String { String(cString: strerror(errno)) }

  // MARK: Links

  private static func follow(_ path: String, _ link: FileStatus, in folder: String, isLast: Bool)
    throws(QudoError) -> String
  {
    try check(path, link, in: folder, isLast: isLast)
    guard let target = target(path) else {
      throw QudoError(.cannotOpen, "the symbolic link \(path) cannot be read: give the path of the file")
    }
    // A link in /proc leads to a file whatever its text says: to a deleted one it says "x.db (deleted)", the name of none.
    if let behind = FileStatus(following: path),
      FileStatus(following: target.hasPrefix("/") ? target : "\(folder)/\(target)")?.isSame(behind) != true
    {
      throw QudoError(
        .cannotOpen,
        "the link \(path) leads to a file that has no path, such as a deleted one: give the path of a file")
    }
    if isLast { try checkNamesFile(target) }
    return target
  }

  private static func check(_ path: String, _ link: FileStatus, in folder: String, isLast: Bool)
    throws(QudoError)
  {
    let folder = FileStatus(folder.isEmpty ? "/" : folder)
    if isLast {
      guard link.isOurs else {
        throw QudoError(
          .unsupportedDatabase,
          "it is a symbolic link of another user, who may lead it anywhere: give the path of the file")
      }
      // There its owner says nothing: a user with the right to may have made a hard link to a link of ours.
      if folder?.isOpenToAll == true {
        throw QudoError(
          .unsupportedDatabase,
          "it is a symbolic link in a folder that everybody may write to, and may lead anywhere: give the path of the file"
        )
      }
      return
    }
    // "symlinks are permitted to be followed only when outside a sticky world-writable directory, or when the uid of the symlink and
    // follower match, or when the directory owner matches the symlink's owner": the kernel's documentation of fs.protected_symlinks.
    guard let folder, folder.isOpenToAll else { return }
    guard link.isOurs || link.owner == folder.owner, link.linkCount == 1 else {
      throw QudoError(
        .unsupportedDatabase,
        "\(path) is a symbolic link of another user in a folder that everybody may write to, and may lead anywhere: give the path that it leads to"
      )
    }
  }

  private static func target(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    guard count > 0, count < buffer.count else { return nil }
    return String(validating: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
