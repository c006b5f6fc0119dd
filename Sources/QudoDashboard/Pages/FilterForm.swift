#if Dashboard
internal import Qudo

/// The form above a list. It works without a script: it asks for the page again, with its fields in the address.
struct FilterForm {
  let shell: Shell
  /// The page that the form asks for.
  let page: String
  /// Whether the list is filtered, so that there is something to clear.
  let isFiltered: Bool
  private var fields: [HTML] = []

  init(_ shell: Shell, _ page: String, isFiltered: Bool) {
    (self.shell, self.page, self.isFiltered) = (shell, page, isFiltered)
  }

  /// Adds a field for a kind.
  ///
  /// - Parameter kinds: Kinds to choose from. Others can be written.
  mutating func addKind(_ kind: String?, _ kinds: [String]) {
    let options = kinds.map { kind -> HTML in "<option value=\"\(kind)\"></option>" }
    fields.append(
      """
      <div class="field wide"><label for="kind">Kind</label><input type="text" id="kind" name="kind" value="\(kind)" list="kinds" autocomplete="off">\
      <datalist id="kinds">\(options)</datalist></div>
      """)
  }

  /// - Parameter example: What is in the field while it is empty.
  mutating func addText(_ name: String, _ label: String, _ value: String?, example: String? = nil) {
    let placeholder: HTML? = example.map { " placeholder=\"\($0)\"" }
    fields.append(
      """
      <div class="field wide"><label for="\(name)">\(label)</label><input type="text" id="\(name)" name="\(name)" value="\(value)"\(placeholder) autocomplete="off"></div>
      """)
  }

  /// - Parameters:
  ///   - choices: The values with their names.
  ///   - none: The name of no choice; nil if one of the choices is the empty one.
  mutating func addChoice(
    _ name: String, _ label: String, _ choices: [(value: String, name: String)], _ selected: String?,
    none: String? = nil
  ) {
    let options = choices.map { choice -> HTML in
      "<option value=\"\(choice.value)\"\(if: choice.value == selected, " selected")>\(choice.name)</option>"
    }
    let first: HTML? = none.map { "<option value=\"\">\($0)</option>" }
    fields.append(
      """
      <div class="field"><label for="\(name)">\(label)</label><select id="\(name)" name="\(name)">\(first)\(options)</select></div>
      """)
  }

  /// Adds a field for one of several databases.
  mutating func addDatabase(_ selected: String?) {
    guard shell.isSeveral else { return }
    addChoice("database", "Database", shell.databases.map { ($0, $0) }, selected, none: "All")
  }

  var html: HTML {
    let clear: HTML = isFiltered ? "<a class=\"button\" href=\"\(shell.link(page))\">Clear</a>" : .empty
    return """
      <form class="card filters" action="\(shell.link(page))" method="get" aria-label="Filter \(page)">
      \(fields.joined("\n"))
      <div class="buttons"><button type="submit" class="primary">Filter</button>\(clear)</div></form>
      """
  }
}
#endif
