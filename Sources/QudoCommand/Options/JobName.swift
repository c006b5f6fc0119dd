internal import ArgumentParser

/// An id on the command line: a number, or `DATABASE/NUMBER` with several databases.
struct JobName: ExpressibleByArgument {
  let database: String?
  let number: Int64

  init?(argument: String) {
    guard let slash = argument.lastIndex(of: "/") else {
      guard let number = Int64(argument) else { return nil }
      (database, self.number) = (nil, number)
      return
    }
    guard let number = Int64(argument[argument.index(after: slash)...]), slash != argument.startIndex else {
      return nil
    }
    (database, self.number) = (String(argument[..<slash]), number)
  }

  /// - Throws: `ValidationError` if there are several databases and the id names none.
  func database(of names: [String]) throws -> String {
    if let database { return database }
    guard names.count == 1 else {
      throw ValidationError("with several databases, write the id as DATABASE/\(number)")
    }
    return names[0]
  }
}
