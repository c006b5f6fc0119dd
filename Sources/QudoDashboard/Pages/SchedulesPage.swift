#if Dashboard
internal import Qudo
internal import QudoSchedules

extension Shell {
  /// The schedules that are listed at most, of one database.
  private static let mostSchedules = 500

  func schedulesPage(_ answers: [DatabaseAnswer<[StoredSchedule]>]) -> HTML {
    page(
      "Schedules", .schedules,
      "\(head("Schedules", "<p>Rules by which jobs are enqueued. A worker, in any process, makes their ticks.</p>"))\(answers.map(schedulesSection))"
    )
  }

  private func schedulesSection(_ answer: DatabaseAnswer<[StoredSchedule]>) -> HTML {
    let all: [StoredSchedule]
    switch answer.result {
    case .success(let value): all = value
    case .failure(let error): return failureNote(answer.database, error)
    }
    let title: HTML = isSeveral ? "<div class=\"card-head\"><h2>\(answer.database)</h2></div>" : .empty
    guard !all.isEmpty else {
      return
        "<section class=\"card\">\(title)\(empty("No schedules", "Add one with <code>qudo schedule add NAME KIND --cron '30 2 * * *'</code>, or declare it with your worker."))</section>"
    }
    let columns: HTML = """
      <th scope="col">Schedule</th><th scope="col">Rule</th><th scope="col">Kind</th><th scope="col">Next tick</th><th scope="col">After that</th>\
      <th scope="col">Last tick</th>\(if: allowsChanges, "<th scope=\"col\"><span class=\"hidden\">Change</span></th>")
      """
    let rows = all.prefix(Self.mostSchedules).map { scheduleRow($0, answer.database) }
    let more: HTML =
      all.count > rows.count
      ? "<p class=\"pager\">The first \(rows.count) of \(Figures.count(all.count)) schedules are shown: see <code>qudo schedule list</code>.</p>"
      : .empty
    let name = isSeveral ? "Schedules of \(answer.database)" : "Schedules"
    return
      "<section class=\"card\">\(title)\(table(name, columns, rows, class: "fold"))\(more)</section>"
  }

  private func scheduleRow(_ schedule: StoredSchedule, _ database: String) -> HTML {
    let ticks: [Timestamp]
    var fault: QudoError?
    do throws(QudoError) {
      ticks = try ScheduleRecord(database: database, schedule: schedule).nextTicks(3)
    } catch {
      (ticks, fault) = ([], error)
    }
    let next: HTML
    if schedule.isPaused {
      let reason: HTML? = schedule.reason.map { " <span class=\"sub\">\($0)</span>" }
      next = "<span class=\"badge amber\">paused</span>\(reason)"
    } else if let fault {
      next =
        "<span class=\"bad\">The rule cannot be read here</span> <span class=\"sub\">\(String(fault.description.prefix(500)))</span>"
    } else if let tick = schedule.nextTick {
      let isLate = now.microseconds.clampedMinus(tick.microseconds) > 5_000_000
      next = isLate ? "<span class=\"bad\">overdue</span> \(HTML.time(tick, now))" : HTML.time(tick, now)
    } else {
      next = "never again"
    }
    let later = ticks.dropFirst().map { HTML.time($0, now) }.joined(", ")
    let last: HTML =
      schedule.lastJob.map {
        "\(HTML.time(schedule.lastTick, now)), <a href=\"\(job(database, $0))\">job \($0)</a>"
      } ?? HTML.time(schedule.lastTick, now)
    let toggle = ChangeOrder(schedule.isPaused ? .resumeSchedule : .pauseSchedule, name: schedule.name)
    let buttons: HTML =
      "<span class=\"buttons\">\(button(ChangeOrder(.runSchedule, name: schedule.name)))\(button(toggle))</span>"
    return """
      <tr><th scope="row" class="name full">\(schedule.name)</th><td class="full"><code>\(schedule.rule)</code>\
      \(if: schedule.skipsOverlap, " <span class=\"sub\">skips overlaps</span>")</td>\
      <td class="name" data-label="Kind">\(kind(schedule.kind))</td><td data-label="Next tick">\(next)</td>\
      <td data-label="After that" class="quiet">\(if: later.isEmpty, .none, else: later)</td><td data-label="Last tick">\(last)</td>\
      \(if: allowsChanges, "<td class=\"full\">\(buttons)</td>")</tr>
      """
  }
}
#endif
