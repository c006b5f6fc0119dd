internal import Qudo
internal import QudoMonitor

/// The keys, and what the columns mean.
extension Screen {
  var help: [StyledLine] {
    let keys: [(String, String)] = [
      ("Up Down j k", "select"), ("PgUp PgDn g G", "move by a page, to the ends"),
      ("Tab", "kinds, running jobs, failures"), ("Enter", "open the selected row"),
      ("Esc", "go back; end the filter"), ("Left Right", "pages of a kind's jobs"),
      ("/", "filter by the kind's name"),
      ("s", "sort the kinds by the next column"),
      ("p", "pause or resume the kind"), ("c", "cancel the job"), ("r", "replay the failure"),
      ("q", "quit"),
    ]
    var lines = [StyledLine()]
    for (key, what) in keys {
      var line = StyledLine("  " + TextWidth.fit(key, 14) + " ", .bold)
      line.add(what)
      lines.append(line)
    }
    lines.append(StyledLine())
    let notes = [
      "IN/S and OUT/S are the jobs enqueued and ended; ~ marks an estimate.",
      "+/-S is the change of a kind's unfinished jobs, DONE/S its completed runs.",
      "RUN and WAIT are medians and 99th percentiles; FAIL counts the last minute.",
    ]
    return lines + notes.map { StyledLine("  " + $0, .dim) }
  }
}
