/// A job that requires the plugins named by the type of its function.
///
/// ``Worker`` throws on creation if one of them is missing. For example:
///
///     struct SendMail: PluginJob {
///       static let kind: Kind = "mail.send"
///       var to: String
///
///       func perform(_ context: JobContext, using mailer: Mailer) async throws {
///         try await mailer.send("Hello", to: to)
///       }
///     }
///
/// See the example `Tests/Examples/Sources/Plugins`.
public protocol PluginJob: Job {
  /// A ``Plugin`` type, or ``Using`` with several. The compiler infers it from `perform`.
  associatedtype Needs: _PluginNeeds

  /// Does the work with the plugins. See ``Job/perform(_:)``.
  func perform(_ context: JobContext, using plugins: Needs) async throws
}

extension PluginJob {
  public static var plugins: [any Plugin.Type] { Needs._types }

  public func perform(_ context: JobContext) async throws {
    try await perform(context, using: try Needs._find(context))
  }
}

/// The plugins that a job needs: one ``Plugin`` type, or ``Using`` with several.
public protocol _PluginNeeds: Sendable {
  /// The types of the plugins.
  static var _types: [any Plugin.Type] { get }
  /// Returns the plugins of the worker that runs the job.
  ///
  /// - Throws: ``QudoError`` if one is missing.
  static func _find(_ context: JobContext) throws -> Self
}

/// Plugins looked up by type: `Using<Mailer>`, `Using<Mailer, Store>`.
public struct Using<each P: Plugin>: _PluginNeeds {
  /// The plugin, or a tuple of several in the order of the types: `let (mailer, store) = plugins.all`.
  public let all: (repeat each P)

  public static var _types: [any Plugin.Type] {
    var types: [any Plugin.Type] = []
    for type in repeat (each P).self { types.append(type) }
    return types
  }

  init(_ context: JobContext) throws { all = (repeat try context.required((each P).self)) }

  public static func _find(_ context: JobContext) throws -> Using { try Using(context) }
}

extension JobContext {
  /// Throws only if the handler does not name the plugin: otherwise ``Worker`` has checked it on creation.
  func required<P: Plugin>(_ type: P.Type) throws -> P {
    guard let plugin = plugin(type) else {
      throw QudoError(
        .invalidArgument, "the worker has no plugin \(type): name it where you create the handler")
    }
    return plugin
  }
}

extension JobHandler {
  /// Creates a handler that runs jobs of a type with a closure that receives plugins.
  ///
  ///     JobHandler(SendMail.self, using: Mailer.self) { mail, context, mailer in
  ///       try await mailer.send("Hello", to: mail.to)
  ///     }
  ///
  /// - Parameters:
  ///   - type: The type that the payload is decoded as.
  ///   - policy: The policy to use instead of the type's own.
  ///   - plugins: The types of the plugins, in the order in which the closure receives them.
  ///   - perform: The work, instead of the type's own. See ``Job/perform(_:)``.
  public init<J: Job, each P: Plugin>(
    _ type: J.Type, policy: JobPolicy? = nil, using plugins: repeat (each P).Type,
    perform: @escaping @Sendable (J, JobContext, repeat each P) async throws -> Void
  ) {
    self.init(type, policy, requiring: Using<repeat each P>._types) {
      (job: J, context: JobContext) async throws in
      try await perform(job, context, repeat try context.required((each P).self))
    }
  }
}
