import Foundation

/// A file of the Perl job queue, to be imported.
enum OldQueue {
  static func make() throws -> Folder {
    let folder = try Folder([:])
    try folder.run(
      """
      CREATE TABLE func(id INTEGER PRIMARY KEY, name);
      CREATE TABLE job(id INTEGER PRIMARY KEY, func_id, arg, uniqkey, enqueue_time, grabbed_until, run_after, retry_cnt, priority);
      CREATE TABLE exception_log(id INTEGER PRIMARY KEY, func_id, exception_time, message, uniqkey, arg, retried);
      CREATE TABLE job_status(id INTEGER PRIMARY KEY, func_id, arg, uniqkey, status, job_start_time, job_end_time);
      INSERT INTO func VALUES(1, 'a');
      INSERT INTO job VALUES
        (1, 1, 'p1', NULL, 1700000105, 0, 1800000000, 0, 0), (2, 1, 'p2', NULL, 1700000105, 0, 1800000000, 4, 0);
      INSERT INTO exception_log VALUES(1, 1, 6, 'p3', 'k', 'p3', 0);
      INSERT INTO job_status VALUES(1, 1, 'p4', NULL, 'abort', 7, 8);
      """)
    return folder
  }

  /// Its jobs are due later.
  static func effect(_ table: JobTable) -> JobTable {
    var table = table
    table.delayed.formUnion(["p1", "p2"])
    table.failures = (table.failures + ["p3"]).sorted()
    table.statuses = (table.statuses + ["p4 aborted"]).sorted()
    return table
  }
}
