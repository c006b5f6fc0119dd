#if Dashboard
/// HTML text. What is interpolated into a literal is escaped, unless it is HTML itself.
///
///     let cell: HTML = "<td title=\"\(job.uniqueKey)\">\(job.kind.name)</td>"
///
/// The literal parts are the only text that is not escaped. Attributes must be written with double quotes, and no text from outside
/// may be interpolated into `<script>` or `<style>`, nor as the whole of a URL: that is what ``Link`` is for.
struct HTML: Sendable, Hashable, ExpressibleByStringInterpolation {
  /// The markup.
  private(set) var markup: String

  static let empty: HTML = ""

  init(stringLiteral value: String) { markup = value }
  init(stringInterpolation: StringInterpolation) { markup = stringInterpolation.markup }

  private init(trusted markup: String) { self.markup = markup }

  var isEmpty: Bool { markup.isEmpty }

  static func + (a: HTML, b: HTML) -> HTML { HTML(trusted: a.markup + b.markup) }
  static func += (a: inout HTML, b: HTML) { a.markup += b.markup }

  struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var markup = ""

    init(literalCapacity: Int, interpolationCount: Int) {
      markup.reserveCapacity(literalCapacity + interpolationCount * 16)
    }

    mutating func appendLiteral(_ literal: String) { markup += literal }
    mutating func appendInterpolation(_ html: HTML) { markup += html.markup }
    mutating func appendInterpolation(_ html: HTML?) { if let html { markup += html.markup } }
    mutating func appendInterpolation(_ list: [HTML]) { for html in list { markup += html.markup } }
    mutating func appendInterpolation(_ link: Link) { Escaping.append(link.text, to: &markup) }
    mutating func appendInterpolation(_ number: some BinaryInteger) { markup += "\(number)" }
    mutating func appendInterpolation(_ text: String) { Escaping.append(text, to: &markup) }
    mutating func appendInterpolation(_ text: String?) { if let text { Escaping.append(text, to: &markup) } }
    /// Appends the first HTML if the condition holds, else the second.
    mutating func appendInterpolation(if condition: Bool, _ html: HTML, else other: HTML = .empty) {
      markup += condition ? html.markup : other.markup
    }
  }
}

extension Array where Element == HTML {
  func joined(_ separator: HTML = .empty) -> HTML {
    var all = HTML.empty
    for (index, html) in enumerated() { all += index == 0 ? html : separator + html }
    return all
  }
}
#endif
