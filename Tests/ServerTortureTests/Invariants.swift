#if MySQL
/// What holds of the tables at every moment, whatever was stopped, cut or killed: asked in one statement, which sees one moment.
enum Invariants {
  private static let query = """
    WITH place AS (
      SELECT id, 'ready' AS name FROM qudo_ready UNION ALL SELECT id, 'delayed' FROM qudo_delayed
      UNION ALL SELECT id, 'running' FROM qudo_running)
    SELECT 'in no table but qudo_job', j.id FROM qudo_job AS j LEFT JOIN place ON place.id = j.id WHERE place.id IS NULL
    UNION ALL SELECT CONCAT(name, ' without a job'), place.id FROM place LEFT JOIN qudo_job AS j ON j.id = place.id WHERE j.id IS NULL
    UNION ALL SELECT CONCAT('in several places: ', GROUP_CONCAT(name)), id FROM place GROUP BY id HAVING COUNT(*) > 1
    UNION ALL SELECT 'unique key without a job', u.job FROM qudo_unique AS u LEFT JOIN qudo_job AS j ON j.id = u.job WHERE j.id IS NULL
    """

  /// - Returns: what is broken, and for which job.
  static func broken(_ session: ServerSession) throws -> [String] { try session.rows(query).map { "job \($0[1]) \($0[0])" } }
}
#endif
