/// A job that cannot do without some plugins. The function's type says which; a worker that lacks one of them is not made.
///
///     struct SendMail: PluginJob {
///       static let kind: Kind = "mail.send"
///       var to: String
///
///       func perform(_ context: JobContext, using mailer: Mailer) async throws {
///         try await mailer.send("Hello", to: to)
///       }
///     }
public protocol PluginJob: Job {
  /// A ``Plugin`` type, or ``Using`` with several. The compiler infers it from `perform`.
  associatedtype Needs: _PluginNeeds

  /// Does the work; see ``Job/perform(_:)``.
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

/// Plugins by their types: `Using<Mailer>`, `Using<Mailer, Store>`.
public struct Using<each P: Plugin>: _PluginNeeds {
  /// The plugin; of several a tuple in the order of the types: `let (mailer, store) = plugins.all`.
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
  /// A worker whose handlers need one that it does not have is not made.
  func required<P: Plugin>(_ type: P.Type) throws -> P {
    guard let plugin = plugin(type) else {
      throw QudoError(.invalidArgument, "the worker has no plugin \(type): name it where the handler is made")
    }
    return plugin
  }
}

extension JobHandler {
  /// Jobs of a type, performed by a closure that is handed plugins.
  ///
  ///     JobHandler(SendMail.self, using: Mailer.self) { mail, context, mailer in
  ///       try await mailer.send("Hello", to: mail.to)
  ///     }
  ///
  /// - Parameters:
  ///   - type: what the payload is decoded as.
  ///   - policy: the type's own by default.
  ///   - plugins: the types of the plugins, in the order in which the closure gets them.
  ///   - perform: in place of the type's own; see ``Job/perform(_:)``.
  public init<J: Job, each P: Plugin>(
    _ type: J.Type, policy: JobPolicy? = nil, using plugins: repeat (each P).Type,
    perform: @escaping @Sendable (J, JobContext, repeat each P) async throws -> Void
  ) {
    self.init(type, policy: policy) { (job: J, context: JobContext) async throws in
      try await perform(job, context, repeat try context.required((each P).self))
    }
    self.plugins = Using<repeat each P>._types
  }
}
