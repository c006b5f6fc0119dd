extension Queue {
  /// A live job by its name, as it stands in the database: its payload is what the hooks' `serialize` left.
  ///
  ///     let id = try await queue.enqueue(SendMail(to: "ada@example.org")).id
  ///     let job = try await queue.job(id)
  ///
  /// - Returns: nil when the job was completed or given up, or is in another database.
  public func job(_ id: JobID) async throws(QudoError) -> StoredJob? {
    guard id.database == driver.name else { return nil }
    return try await driver.find(JobQuery(ids: [id.number], limit: 1)).first
  }
}
