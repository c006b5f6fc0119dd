extension Queue {
  /// Returns a live job by its id, as the database has it: encoded, and after the hooks' `serialize`.
  ///
  ///     let id = try await queue.enqueue(SendMail(to: "ada@example.org")).id
  ///     let job = try await queue.job(id)
  ///
  /// - Returns: the job, or nil if it is finished, or in no database of the queue.
  /// - Throws: ``QudoError`` if its database cannot be used.
  public func job(_ id: JobID) async throws(QudoError) -> StoredJob? {
    try await databases.job(id)
  }
}
