import CSQLite
import Foundation
import Logging
import Qudo
@testable import QudoSQLite
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#endif

@Suite struct FileSystemTests {
  /// As statfs(2) and the kernel's magic.h have them.
  @Test(
    arguments: [
      (0x6969, "NFS"), (0x517B, "SMB"), (0xFF53_4D42, "CIFS"), (0xFE53_4D42, "SMB2"), (0x0102_1997, "9p"),
      (0x5346_414F, "AFS"),
      (0x00C3_6400, "Ceph"), (0x0BD0_0BD0, "Lustre"), (0x4750_4653, "GPFS"), (0x7461_636F, "OCFS2"),
      (0x1983_0326, "BeeGFS"),
      (0x2003_0528, "OrangeFS"), (0x786F_4256, "a shared folder of VirtualBox"),
      (0xBACB_ACBC, "a shared folder of VMware"),
    ] as [(UInt32, String)])
  func aNetworkFileSystemIsRefusedByName(type: UInt32, name: String) {
    let error = FileSystem.refusal(type: type)
    #expect(error?.code == .unsupportedDatabase && error?.message.contains("(\(name))") == true)
  }

  /// ext4, tmpfs, xfs, btrfs, overlay, zfs, f2fs, and one that is not known.
  @Test(
    arguments: [0xEF53, 0x0102_1994, 0x5846_5342, 0x9123_683E, 0x794C_7630, 0x2FC1_2FC1, 0xF2F5_2010, 0]
      as [UInt32])
  func aLocalFileSystemIsTaken(type: UInt32) { #expect(FileSystem.refusal(type: type) == nil) }

  /// Behind it may be a disk of this computer as well as another one's.
  @Test("warns of FUSE, and of nothing else") func fuse() {
    #expect(FileSystem.refusal(type: 0x6573_5546) == nil)
    #expect(FileSystem.caution(type: 0x6573_5546)?.description.contains("FUSE") == true)
    #expect(FileSystem.caution(type: 0xEF53) == nil)
  }

  @Test func onDarwinTheFlagsDecide() {
    #expect(FileSystem.refusal(flags: 0x1001, local: 0x1000, name: "apfs") == nil)
    #expect(FileSystem.refusal(flags: 1, local: 0x1000, name: "smbfs")?.message.contains("(smbfs)") == true)
  }

  @Test func aMissingFileIsWhereItsFolderIs() {
    for (path, folder) in [("a", "."), ("./a", "."), ("/a", "/"), ("/a/b", "/a"), ("a/b/c", "a/b")] {
      #expect(FileSystem.folder(of: path) == folder)
    }
    #expect(throws: Never.self) { try FileSystem.check("/nowhere/at/all", Logger(label: "qudo")) }
  }

  @Test func whatTheSystemSaysIsTranslated() {
    for (code, cause, meaning) in [
      (SQLITE_FULL, ENOSPC, .diskFull), (SQLITE_IOERR | 3 << 8, EFBIG, .diskFull),
      (SQLITE_IOERR | 3 << 8, EDQUOT, .diskFull),
      (SQLITE_IOERR | 3 << 8, EIO, .ioError), (SQLITE_IOERR | 4 << 8, EDQUOT, .ioError),
      (SQLITE_READONLY | 6 << 8, 0, .readOnly),
      (SQLITE_CANTOPEN | 2 << 8, 0, .cannotOpen), (SQLITE_BUSY | 2 << 8, 0, .busy),
      (SQLITE_CORRUPT | 1 << 8, 0, .corrupt),
      (SQLITE_IOERR | 12 << 8, 0, .outOfMemory), (SQLITE_IOERR | 21 << 8, ENOMEM, .outOfMemory),
      (SQLITE_CANTOPEN, EMFILE, .tooManyFiles),
      (SQLITE_CANTOPEN, ENFILE, .tooManyFiles), (SQLITE_TOOBIG, 0, .unsupportedDatabase),
    ] as [(Int32, Int32, QudoError.Code)] {
      #expect(QudoError.meaning(code, cause).0 == meaning)
    }
  }

  #if os(Linux)
  /// What only a thread with another's rights sees: root may do everything. Linux gives each thread its own.
  @Test(.enabled(if: getuid() == 0)) func aFileOrFolderWithoutTheRightsIsRefused() async throws {
    let file = try TemporaryFile()
    await (try file.open()).close()
    let attributes = FileManager.default
    func code(file fileMode: Int, folder folderMode: Int) throws -> QudoError.Code? {
      try attributes.setAttributes([.posixPermissions: fileMode], ofItemAtPath: file.path)
      try attributes.setAttributes([.posixPermissions: folderMode], ofItemAtPath: file.folder.path)
      let refusal = asNobody { () -> [QudoError.Code] in
        do {
          _ = try file.open()
          return []
        } catch { return (error as? QudoError).map { [$0.code] } ?? [] }
      }
      return try #require(refusal).first
    }
    #expect(try code(file: 0o444, folder: 0o777) == .readOnly)
    #expect(try [.readOnly, .cannotOpen].contains(code(file: 0o666, folder: 0o555)))
    #expect(try code(file: 0o000, folder: 0o777) == .cannotOpen)
    #expect(try code(file: 0o666, folder: 0o000) == .cannotOpen)
    #expect(try code(file: 0o666, folder: 0o777) == nil)
  }

  /// Runs `body` on a thread of its own that has lost root's rights on files.
  private func asNobody<Result: Sendable>(_ body: @escaping @Sendable () -> Result) -> Result? {
    let answer = Locked<Result?>(nil)
    let done = DispatchSemaphore(value: 0)
    let thread = Thread {
      typealias Call = @convention(c) (UInt32) -> Int32
      if let symbol = dlsym(nil, "setfsuid") {
        let setfsuid = unsafeBitCast(symbol, to: Call.self)
        _ = setfsuid(65534)
        let result = body()
        answer.withLock { $0 = result }
      }
      done.signal()
    }
    thread.start()
    done.wait()
    return answer.withLock { $0 }
  }
  #endif
}
