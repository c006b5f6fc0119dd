internal import Qudo

/// A number of bytes on the command line: `16777216`, `512MiB`, `1GiB`.
struct ByteCount {
  let bytes: Int

  init(parsing text: String) throws {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let units = ["": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30]
    guard let number = Int(digits), let shift = units[String(text.dropFirst(digits.count))],
      number <= Int.max >> shift
    else {
      throw QudoError(
        .invalidArgument,
        "\"\(text)\" is not a size: give bytes, or a number with KiB, MiB or GiB, such as 512MiB"
      )
    }
    bytes = number << shift
  }
}
