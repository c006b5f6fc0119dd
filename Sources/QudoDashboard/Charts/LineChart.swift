#if Dashboard
internal import Qudo

/// A plot of figures over time: lines in an SVG, and all of its text in HTML around it.
struct LineChart: Sendable {
  struct Series: Sendable {
    var name: String
    /// The class of its color.
    var color: String
    var isDashed = false
    var values: [Double?]
  }

  var id: String
  var title: String
  /// The description for people who cannot see the plot.
  var about: String
  /// The times of the values, in seconds.
  var times: [Double]
  var series: [Series]
  /// How a value is written.
  var format: @Sendable (Double) -> String
  /// Whether the distance of values is that of their logarithms.
  var isLogarithmic = false
  /// Whether values are whole numbers, and so those of the axis.
  var isWhole = false
  /// The text in place of a plot without values.
  var empty: HTML

  private static let (width, height) = (600.0, 160.0)

  var html: HTML {
    let values = series.flatMap(\.values).compactMap { $0 }
    let legend = series.map { line -> HTML in
      let last = line.values.last.flatMap { $0 }
      return
        "<li><span class=\"key \(line.color)\(line.isDashed ? " dashed" : "")\"></span>\(line.name) <b>\(last.map(format) ?? "–")</b></li>"
    }
    let plot: HTML =
      times.count < 2 || values.isEmpty ? "<div class=\"plot-empty\">\(empty)</div>" : svg(values)
    return """
      <figure class="card" role="group" aria-labelledby="\(id)-title"><figcaption id="\(id)-title">\(title)</figcaption>
      <ul class="legend">\(legend)</ul><div class="plot">\(plot)</div></figure>
      """
  }

  private func svg(_ values: [Double]) -> HTML {
    let scale = Scale(values, isLogarithmic: isLogarithmic, isWhole: isWhole)
    let start = times.first ?? 0
    let length = max((times.last ?? 0) - start, 0.001)
    let lines = series.map { line -> HTML in
      paths(line).map { points -> HTML in
        let at = points.map { index, value in
          (x: (times[index] - start) / length * Self.width, y: (1 - scale.position(value)) * Self.height)
        }
        guard let first = at.first else { return .empty }
        var path = "M\(Self.point(first))"
        for point in at.dropFirst() { path += "L\(Self.point(point))" }
        // A value between two gaps is a dot.
        if at.count == 1 { path += "h0.01" }
        let area: HTML =
          line.isDashed || at.count == 1
          ? .empty
          : "<path class=\"area \(line.color)\" d=\"\(path)V\(Int(Self.height))H\(Self.number(first.x))Z\"/>"
        return "\(area)<path class=\"line \(line.color)\(line.isDashed ? " dashed" : "")\" d=\"\(path)\"/>"
      }.joined()
    }
    let grid = [0.0, 0.5, 1].map { at -> HTML in
      "<line class=\"grid\" x1=\"0\" x2=\"\(Int(Self.width))\" y1=\"\(Self.number(at * Self.height))\" y2=\"\(Self.number(at * Self.height))\"/>"
    }
    let labels = [scale.top, scale.middle, scale.bottom].map { value -> HTML in
      "<span>\(format(value))</span>"
    }
    return """
      <div class="y" aria-hidden="true">\(labels)</div>
      <svg viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" preserveAspectRatio="none" role="img" \
      aria-labelledby="\(id)-title \(id)-text"><desc id="\(id)-text">\(summary)</desc>\(grid)\(lines)</svg>
      <div class="x" aria-hidden="true"><span>\(Figures.duration(.seconds(Int64(length.rounded())))) ago</span><span>now</span></div>
      """
  }

  /// The plot in words.
  var summary: String {
    let parts = series.map { line in
      let values = line.values.compactMap { $0 }
      guard let low = values.min(), let high = values.max(), let last = values.last else {
        return "\(line.name): no figures"
      }
      return "\(line.name): now \(format(last)), lowest \(format(low)), highest \(format(high))"
    }
    return "\(about) \(parts.joined(separator: ". "))."
  }

  /// The runs of values without a gap between them.
  private func paths(_ line: Series) -> [[(Int, Double)]] {
    var all: [[(Int, Double)]] = []
    var run: [(Int, Double)] = []
    for (index, value) in line.values.enumerated() where index < times.count {
      let isGap = index > 0 && times[index] - times[index - 1] > gap
      if value == nil || isGap, !run.isEmpty {
        all.append(run)
        run = []
      }
      if let value, value.isFinite { run.append((index, value)) }
    }
    return run.isEmpty ? all : all + [run]
  }

  /// The time without a sample after which the line is broken: nobody looked.
  private var gap: Double {
    let steps = zip(times.dropFirst(), times).map { $0 - $1 }.sorted()
    return max(10, steps.isEmpty ? 0 : steps[steps.count / 2] * 5)
  }

  private static func point(_ point: (x: Double, y: Double)) -> String {
    "\(number(point.x)) \(number(point.y))"
  }
  /// A coordinate with one decimal.
  static func number(_ value: Double) -> String {
    let tenths = Int((min(max(value, -1e6), 1e6) * 10).rounded())
    return tenths.isMultiple(of: 10) ? "\(tenths / 10)" : "\(Double(tenths) / 10)"
  }

  /// The vertical axis.
  private struct Scale {
    let top: Double
    let bottom: Double
    let isLogarithmic: Bool

    init(_ values: [Double], isLogarithmic: Bool, isWhole: Bool) {
      self.isLogarithmic = isLogarithmic
      let highest = values.max() ?? 1
      if isLogarithmic {
        let lowest = max(values.lazy.filter { $0 > 0 }.min() ?? 0.001, 1e-6)
        bottom = Self.power(below: lowest)
        top = max(Self.power(below: max(highest, lowest)) * 10, bottom * 10)
      } else {
        bottom = 0
        // Half of it is a number of the axis, too.
        top = isWhole && highest <= 10 ? [2, 4].first { highest <= $0 } ?? 10 : Self.round(highest)
      }
    }

    var middle: Double { isLogarithmic ? (top * bottom).squareRoot() : top / 2 }

    func position(_ value: Double) -> Double {
      guard isLogarithmic else { return top == 0 ? 0 : min(max(value / top, 0), 1) }
      return min(max(Self.log(value / bottom) / Self.log(top / bottom), 0), 1)
    }

    /// The next number of the form 1, 2, 4, 5 or 10 times a power of ten.
    private static func round(_ value: Double) -> Double {
      guard value > 0, value.isFinite else { return 1 }
      let power = power(below: value)
      for factor in [1.0, 2, 4, 5, 10] where value <= factor * power * 1.000001 { return factor * power }
      return 10 * power
    }

    private static func power(below value: Double) -> Double {
      var power = 1.0
      while power * 10 <= value, power < 1e18 { power *= 10 }
      while power > value, power > 1e-9 { power /= 10 }
      return power
    }

    /// The logarithm to the base 2, exact enough for a plot.
    private static func log(_ value: Double) -> Double {
      guard value > 0 else { return 0 }
      return Double(value.exponent) + (value.significand - 1)
    }
  }
}

/// A small line without axes, next to a figure.
enum Sparkline {
  static func html(_ values: [Double?], color: String) -> HTML {
    let known = values.compactMap { $0 }
    guard known.count > 1, let high = known.max(), let low = known.min() else { return .empty }
    let range = high - low
    var path = ""
    var isBegun = false
    for (index, value) in values.enumerated() {
      guard let value else {
        isBegun = false
        continue
      }
      let x = Double(index) / Double(max(values.count - 1, 1)) * 88
      let y = range == 0 ? 11 : 20 - (value - low) / range * 18
      path += "\(isBegun ? "L" : "M")\(LineChart.number(x)) \(LineChart.number(y))"
      isBegun = true
    }
    return """
      <svg class="spark" viewBox="0 0 88 22" preserveAspectRatio="none" aria-hidden="true"><path class="line \(color)" d="\(path)"/></svg>
      """
  }
}
#endif
