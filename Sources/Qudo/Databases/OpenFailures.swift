/// The final failures of one database that were neither replayed nor resolved, oldest first, in pages of ids.
///
/// It leaves out failures that are added meanwhile: nobody has seen them, and a replayed job may fail again at once. It
/// pages by id, so rows that are added or pruned do not shift the others.
package struct OpenFailures {
  private let databases: Databases
  private let name: String
  private var query: LogQuery
  /// The newest failure to return; nil before the first page.
  private var newest: Int64?
  private var isAtEnd = false

  /// - Parameters:
  ///   - name: The name of the database.
  ///   - filter: Which failures.
  ///   - kinds: Which kinds; nil for all.
  ///   - page: The maximum number of ids in a page.
  package init(
    in name: String, of databases: Databases, matching filter: FailureFilter, kinds: [Kind]?, page: Int
  ) {
    var filter = filter
    (filter.isFinal, filter.isReplayed) = (true, false)
    (self.databases, self.name) = (databases, name)
    query = LogQuery(kinds: kinds, oldestFirst: true, limit: page, failures: filter)
  }

  /// Returns the next page, which is not empty; nil after the last one.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if no database has the name.
  package mutating func next() async throws(QudoError) -> [Int64]? {
    guard !isAtEnd else { return nil }
    if newest == nil { newest = try await failures(LogQuery(limit: 1)).first ?? 0 }
    let ids = try await failures(query).filter { $0 <= newest ?? 0 }
    isAtEnd = ids.count < query.limit
    guard let last = ids.last else { return nil }
    query.after = last
    return ids
  }

  private func failures(_ query: LogQuery) async throws(QudoError) -> [Int64] {
    try await databases.logs(in: name, isRead: true) { driver throws(QudoError) in
      try await driver.failures(query).map(\.id)
    }
  }
}
