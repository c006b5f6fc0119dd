internal import ArgumentParser

/// An id as it is given to the command: a number, or with several databases `DATABASE/NUMBER`.
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

  /// - Throws: wrong usage without a database's name where there are several.
  func database(of names: [String]) throws -> String {
    if let database { return database }
    guard names.count == 1 else {
      throw ValidationError("with several databases an id is given as DATABASE/\(number)")
    }
    return names[0]
  }
}
