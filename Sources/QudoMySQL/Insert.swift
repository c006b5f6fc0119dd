#if MySQL
internal import Qudo

/// What an insert comes to. The ids of new jobs are known when they were written.
final class InsertAnswer {
  enum Answer {
    case known(InsertResult)
    /// The position among the new ones.
    case new(Int, (Int64) -> InsertResult)
  }
  var answers: [Answer] = []
  var ids: [Int64] = []

  var results: [InsertResult] {
    answers.map { answer in
      switch answer {
      case .known(let result): result
      case .new(let position, let result): result(ids[position])
      }
    }
  }
}

extension Transaction {
  /// The kinds must have been made.
  func insert(_ jobs: [NewJob]) throws(QudoError) -> InsertAnswer {
    let answer = InsertAnswer()
    guard !jobs.isEmpty else { return answer }
    var holders = try holders(for: jobs)
    var rows: [NewRow] = []
    var positions: [Holders.Key: Int] = [:]
    for job in jobs {
      let kind = try requireNumber(of: job.kind)
      guard let unique = job.unique else {
        answer.answers.append(.new(rows.count) { .inserted($0) })
        rows.append(NewRow(job, kind: kind))
        continue
      }
      let key = Holders.Key(kind: kind, bytes: Array(unique.key.utf8))
      if let position = positions[key] {
        if case .overwrite = unique.onConflict { rows[position].overwrite(job) }
        answer.answers.append(.new(position) { unique.onConflict.result($0) })
      } else if let holder = holders[key] {
        answer.answers.append(.known(conflict(job, unique, with: holder, kind: kind, &holders[key])))
      } else {
        positions[key] = rows.count
        answer.answers.append(.new(rows.count) { .inserted($0) })
        rows.append(NewRow(job, kind: kind))
      }
    }
    try write(rows, answer)
    return answer
  }

  private func holders(for jobs: [NewJob]) throws(QudoError) -> Holders {
    var keys: Set<Holders.Key> = []
    var locks = false
    for job in jobs {
      guard let unique = job.unique else { continue }
      keys.insert(Holders.Key(kind: try requireNumber(of: job.kind), bytes: Array(unique.key.utf8)))
      if case .overwrite = unique.onConflict { locks = true }
    }
    var holders = Holders()
    guard !keys.isEmpty else { return holders }
    for rows in try read(Holders.look(up: keys, locks: locks)) { try holders.add(rows) }
    return holders
  }

  private func conflict(
    _ job: NewJob, _ unique: UniqueKey, with holder: Holders.Holder, kind: Int64, _ current: inout Holders.Holder?
  ) -> InsertResult {
    guard case .overwrite = unique.onConflict, let place = holder.place else {
      return unique.onConflict == .keep ? .existing(holder.id) : .conflict(holder.id)
    }
    leave(place, holder.id, kind: kind)
    let due = job.due.moment(now).microseconds
    write("""
      UPDATE qudo_job SET payload = \(job.payload.bytes), codec = \(job.payload.codec.number), \
      meta = \(job.meta.isEmpty ? nil : job.meta.bytes), ranking = \(job.ranking), due = \(due) WHERE id = \(holder.id)
      """)
    let new = Holders.Place(
      table: due <= now.microseconds ? .ready : .delayed, ranking: job.ranking, due: due, frees: place.frees)
    enter(new, holder.id, kind: kind)
    current?.place = new
    return .overwritten(holder.id)
  }

  private func leave(_ place: Holders.Place, _ id: Int64, kind: Int64) {
    switch place.table {
    case .ready:
      write("DELETE FROM qudo_ready WHERE kind = \(kind) AND ranking = \(place.ranking) AND due = \(place.due) AND id = \(id)")
    case .delayed: write("DELETE FROM qudo_delayed WHERE due = \(place.due) AND id = \(id)")
    }
  }

  private func enter(_ place: Holders.Place, _ id: Int64, kind: Int64) {
    wakes = true
    let table: SQL = place.table == .ready ? "qudo_ready" : "qudo_delayed"
    write("INSERT INTO \(table)(kind, ranking, due, id, frees) VALUES(\(kind), \(place.ranking), \(place.due), \(id), \(place.frees))")
  }

  /// Each statement takes as many rows as go well into a packet. In one statement ids follow each other: "If the only
  /// statements executing are "simple inserts" where the number of rows to be inserted is known ahead of time, there are no
  /// gaps in the numbers generated for a single statement": InnoDB AUTO_INCREMENT Lock Modes, of mode 2; 0 and 1 promise it too.
  private func write(_ rows: [NewRow], _ answer: InsertAnswer) throws(QudoError) {
    var rest = rows[...]
    while let first = rest.first {
      var (length, count) = (first.textLength, 1)
      guard length + 512 <= connection.packet else {
        throw QudoError(.invalidArgument, """
          a payload of \(first.payload.bytes.count) bytes takes a packet of \(length + 512), and the server's max_allowed_packet is \
          \(connection.packet): raise it there, or keep large data elsewhere and enqueue its name
          """)
      }
      for row in rest.dropFirst() {
        guard count < 1000, length + row.textLength + 512 <= connection.longest else { break }
        length += row.textLength
        count += 1
      }
      insert(rest.prefix(count), answer)
      rest = rest.dropFirst(count)
    }
  }

  private func insert(_ rows: ArraySlice<NewRow>, _ answer: InsertAnswer) {
    wakes = true
    write("INSERT INTO qudo_job(\(NewRow.columns)) VALUES\(rows.map(\.values).joined(","))") { result in
      answer.ids += result.insertID..<result.insertID + Int64(rows.count)
    }
    write(Receipt.write([receipt.row(answer, rows.count)]))
    let mayWait = rows.contains { $0.due.mayWait }
    let range: SQL = "id BETWEEN LAST_INSERT_ID() AND LAST_INSERT_ID() + \(rows.count - 1)"
    if rows.contains(where: { $0.due.mayBeReady }) { enter("qudo_ready", from: mayWait ? "\(range) AND due <= @n" : range) }
    if mayWait { enter("qudo_delayed", from: "\(range) AND due > @n") }
  }

  /// Puts jobs where the waiting are, as their rows have it.
  func enter(_ table: SQL, from condition: SQL) {
    wakes = true
    write("""
      INSERT INTO \(table)(kind, ranking, due, id, frees)
      SELECT kind, ranking, due, id, (unique_scope = \(UniqueKey.Scope.untilStarted.rawValue) AND held_key IS NOT NULL)
      FROM qudo_job WHERE \(condition)
      """)
  }
}

extension UniqueKey.Conflict {
  /// Of a job whose key another one of its own batch has.
  fileprivate func result(_ id: Int64) -> InsertResult {
    switch self {
    case .reject: .conflict(id)
    case .keep: .existing(id)
    case .overwrite: .overwritten(id)
    }
  }
}
#endif
