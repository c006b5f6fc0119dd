internal import Logging
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Where a path leads to, and whether a database may be there. Nothing of it is opened: closing it would lose SQLite's locks.
///
/// Who may write to a folder can put a link, or a file of his own, where the database is to be. So a link is followed only where
/// nobody else can have put it, as the kernel does it with `fs.protected_symlinks`; and a file in a folder like `/tmp` must be one's
/// own, as with `fs.protected_regular`.
struct FilePlace {
  /// Without a link in it, if the folder is there.
  let path: String
  private let file: stat?
  private let folder: stat?

  private static let mostLinks = 40

  /// - Parameters:
  ///   - path: as it was given.
  ///   - isWritten: whether jobs are to be written to it.
  init(_ path: String, isWritten: Bool = true) throws(QudoError) {
    // A name that begins with `file:` would be read as a URI.
    var path = path.hasPrefix("/") ? path : "./" + path
    var links = 0
    while let info = Self.look(path), Self.isKind(info, S_IFLNK) {
      try Self.checkLink(path, info)
      links += 1
      guard links <= Self.mostLinks, let target = Self.target(path) else {
        throw QudoError(.cannotOpen, "the symbolic links lead nowhere: give the path of the file")
      }
      path = target.hasPrefix("/") ? target : FileSystem.folder(of: path) + "/" + target
    }
    file = Self.look(path)
    self.path = Self.resolved(path)
    folder = Self.look(FileSystem.folder(of: self.path))
    if let file { try checkFile(file, isWritten: isWritten) }
    for ending in ["-wal", "-shm", "-journal"] { try checkBeside(ending) }
  }

  /// Makes an empty file that only its owner may read and write, as `ssh-keygen` and `gpg` make theirs: payloads may be secrets.
  /// SQLite gives the files beside it the same rights. Where there is a file already, it stays as it is.
  func makeFile() throws(QudoError) {
    guard file == nil else { return }
    #if os(Linux)
    // It makes a file without opening it, and follows no link: "If pathname already exists, or is a symbolic link, this call fails
    // with an EEXIST error". Where it cannot, SQLite says why.
    _ = mknod(path, S_IFREG | 0o600, 0)
    #else
    makeFileByLink()
    #endif
  }

  /// Where only root may call `mknod`. A file of another name is made and closed, and then given this one: nobody can have it open
  /// in SQLite when it is closed, which would lose the locks that others in this process have.
  func makeFileByLink() {
    let other = "\(path)-new-\(getpid())-\(UInt64.random(in: 0...(.max)))"
    let descriptor = open(other, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_RDWR, 0o600)
    guard descriptor >= 0 else { return }
    close(descriptor)
    _ = link(other, path)  // "If newpath exists, it will not be overwritten."
    unlink(other)
  }

  /// What is allowed and seldom meant. It is no error: volumes of containers are often so.
  func warn(_ logger: Logger) {
    if let folder, Self.isOpenToAll(folder), folder.st_mode & S_ISVTX == 0 {
      logger.warning(
        "everybody may write to the database's folder, and so put another file in its place: take that right away (chmod o-w)",
        metadata: ["path": "\(path)"])
    }
    if let file, Self.isOpenToAll(file) {
      logger.warning(
        "everybody may write to the database, and so have jobs done in this program's name: take that right away (chmod o-w)",
        metadata: ["path": "\(path)"])
    }
  }

  // MARK: Checks

  private static func checkLink(_ path: String, _ link: stat) throws(QudoError) {
    guard isOurs(link) else {
      throw QudoError(.unsuitableFile, "it is a symbolic link of another user, who may lead it anywhere: give the path of the file")
    }
    // There its owner says nothing: who may may have made a hard link to a link of ours.
    if let folder = look(FileSystem.folder(of: path)), isOpenToAll(folder) {
      throw QudoError(
        .unsuitableFile, "it is a symbolic link in a folder that everybody may write to, and may lead anywhere: give the path of the file")
    }
  }

  private func checkFile(_ file: stat, isWritten: Bool) throws(QudoError) {
    if Self.isKind(file, S_IFDIR) { throw QudoError(.cannotOpen, "it is a folder, which cannot be opened: give the path of a file") }
    guard Self.isKind(file, S_IFREG) else {
      throw QudoError(.unsuitableFile, "it is a device, a pipe or a socket, and not a file: give the path of a file")
    }
    guard isWritten, let folder, Self.isOpenToAll(folder), folder.st_mode & S_ISVTX != 0 else { return }
    guard Self.isOurs(file) || file.st_uid == folder.st_uid else {
      throw QudoError(
        .unsuitableFile, "it belongs to another user, in a folder that everybody may write to: use a folder of your own")
    }
  }

  /// SQLite follows no link there either, and would say only that it cannot open the database.
  private func checkBeside(_ ending: String) throws(QudoError) {
    guard let info = Self.look(path + ending), !Self.isKind(info, S_IFREG) else { return }
    throw QudoError(.unsuitableFile, "what is called \(ending) beside it is not a file: remove it, or use another path")
  }

  // MARK: Looking

  private static func isKind(_ info: stat, _ kind: mode_t) -> Bool { info.st_mode & S_IFMT == kind }
  private static func isOurs(_ info: stat) -> Bool { info.st_uid == geteuid() || info.st_uid == 0 }
  private static func isOpenToAll(_ info: stat) -> Bool { info.st_mode & S_IWOTH != 0 }

  /// Nil where there is nothing, or nothing that can be looked at: SQLite says why.
  private static func look(_ path: String) -> stat? {
    var info = stat()
    return lstat(path, &info) == 0 ? info : nil
  }

  private static func target(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    guard count > 0, count < buffer.count else { return nil }
    return String(validating: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The folder with its links followed, and the name in it.
  private static func resolved(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/"), let real = realpath(FileSystem.folder(of: path), nil) else { return path }
    defer { free(real) }
    let name = path[path.index(after: slash)...]
    guard !name.isEmpty, let folder = String(validatingCString: real) else { return path }
    return folder == "/" ? "/\(name)" : "\(folder)/\(name)"
  }
}
