import Foundation
import Qudo
import QudoSQLite

/// A backup or a restore that stands still at one of its steps until it is killed: `TortureProcess backup|restore DATABASE LOG STEP`.
/// The backup's path is the database's with `.backup`. When it stands, it writes `held` to its log.
enum BackupRoles {
  static let backupSteps: [Backup.Event] = [.begun, .copied, .synced, .checked]
  static let restoreSteps: [Restore.Event] = [.holds, .copied, .synced, .cleared, .published]

  static func backup(_ database: String, _ log: LineLog, step: Int) async throws {
    var backup = Backup(database: database, target: database + ".backup", replaces: true)
    backup.observer = { event in if event == backupSteps[step] { stand(log) } }
    _ = try await backup.start()
  }

  static func restore(_ database: String, _ log: LineLog, step: Int) async throws {
    var restore = Restore(backup: database + ".backup", target: database, replaces: true)
    restore.observer = { event in if event == restoreSteps[step] { stand(log) } }
    _ = try await restore.restore()
  }

  private static func stand(_ log: LineLog) -> Never {
    log.write("held \(TortureProcess.nanoseconds())\n")
    while true { pause() }
  }
}
