#if Dashboard
internal import Qudo

extension Shell {
  /// Asks whether to make a change.
  func confirmPage(_ order: ChangeOrder, back: Link) -> HTML {
    func hidden(_ name: String, _ value: String?) -> HTML {
      guard let value else { return .empty }
      return "<input type=\"hidden\" name=\"\(name)\" value=\"\(value)\">"
    }
    let reason: HTML =
      order.change.hasReason
      ? """
      <div class="field"><label for="reason">Note for those who look at it</label>\
      <input type="text" id="reason" name="reason" maxlength="1000" autocomplete="off"></div>
      """ : .empty
    let length: HTML =
      order.change == .pause
      ? """
      <div class="field"><label for="length">For how long</label>\
      <input type="text" id="length" name="length" placeholder="until it is resumed" aria-describedby="length-hint" autocomplete="off">\
      <span class="hint" id="length-hint">For example 30m, 2h or 1d. Leave it empty for no end.</span></div>
      """ : .empty
    return page(
      order.question, nil,
      """
      <form class="card narrow" action="\(link("change"))" method="post"><div class="card-head"><h1>\(order.question)</h1></div>
      <div class="card-body"><p>\(order.explanation)</p>\(reason)\(length)\
      \(hidden("change", order.change.rawValue))\(hidden("database", order.database))\(hidden("id", order.id.map { "\($0)" }))\
      \(hidden("name", order.name))\(hidden("csrf", formToken))
      <div class="buttons confirm"><button type="submit" class="\(order.change.isDangerous ? "danger" : "primary")">\(order.label)</button>\
      <a class="button" href="\(back)">Keep it as it is</a></div></div></form>
      """)
  }

  /// Several databases have a job of the number that was searched for.
  func choicePage(_ number: Int64) -> HTML {
    let links = databases.map { name -> HTML in
      "<li><a href=\"\(job(name, number))\">Job \(number) of \(name)</a></li>"
    }
    return page(
      "Job \(number)", .jobs, search: "\(number)",
      "\(head("Which job \(number)?"))<section class=\"card\"><div class=\"card-body\"><p>Each database has its own ids.</p><ul>\(links)</ul></div></section>"
    )
  }

  /// Something that was asked for is not there, or not allowed.
  func messagePage(_ heading: String, _ words: HTML) -> HTML {
    page(
      heading, nil,
      "\(head(heading))<section class=\"card narrow\"><div class=\"card-body\">\(words)</div></section>")
  }

  /// The page for requests without a session. It reveals nothing about the queue.
  func lockedPage(hint: HTML) -> HTML {
    """
    <!DOCTYPE html>
    <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark"><title>Locked – Qudo</title><link rel="stylesheet" href="\(link("style.css"))"></head>
    <body><main><section class="card narrow lockup"><div class="card-head"><h1>This dashboard is locked</h1></div><div class="card-body">
    \(hint)</div></section></main></body></html>
    """
  }
}
#endif
