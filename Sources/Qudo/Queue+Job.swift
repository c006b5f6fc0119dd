extension Queue {
  /// A live job by its name, as it stands in the database: its payload is what the hooks' `serialize` left.
  ///
  ///     let id = try await queue.enqueue(SendMail(to: "ada@example.org")).id
  ///     let job = try await queue.job(id)
  ///
  /// - Returns: nil when the job was completed or given up, or is in no database of the queue.
  /// - Throws: ``QudoError`` when its database cannot be used.
  public func job(_ id: JobID) async throws(QudoError) -> StoredJob? {
    try await databases.job(id)
  }
}
