extension Worker {
  /// Creates a worker for jobs of types that perform themselves.
  ///
  ///     let worker = try Worker(queue, handlers: [SendMail.self, MakeThumbnail.self])
  ///
  /// - Parameters:
  ///   - queue: the queue whose jobs the worker runs.
  ///   - handlers: the types of the jobs, each once.
  ///   - plugins: the services that jobs can use, at most one of a type.
  ///   - options: how the worker works. Default: ``WorkerOptions`` with its defaults.
  /// - Throws: as ``init(_:handlers:plugins:options:)-(_,[JobHandler],_,_)``.
  @inlinable
  @_disfavoredOverload
  public init(
    _ queue: Queue<Hooks>, handlers: [any Job.Type], plugins: [any Plugin] = [],
    options: WorkerOptions = WorkerOptions()
  ) throws(QudoError) {
    try self.init(queue, handlers: handlers.map { JobHandler($0) }, plugins: plugins, options: options)
  }

  /// Creates a worker for jobs of types that perform themselves.
  ///
  /// - Parameters:
  ///   - queue: the queue whose jobs the worker runs.
  ///   - handlers: the types of the jobs, each once.
  ///   - plugins: the services that jobs can use, at most one of a type.
  ///   - concurrency: The maximum number of jobs that run at the same time.
  /// - Throws: as ``init(_:handlers:plugins:options:)-(_,[JobHandler],_,_)``.
  @inlinable
  @_disfavoredOverload
  public init(
    _ queue: Queue<Hooks>, handlers: [any Job.Type], plugins: [any Plugin] = [], concurrency: Int
  ) throws(QudoError) {
    try self.init(
      queue, handlers: handlers.map { JobHandler($0) }, plugins: plugins, concurrency: concurrency)
  }
}
