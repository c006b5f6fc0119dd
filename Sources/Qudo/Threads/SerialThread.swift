internal import Dispatch

/// An executor that runs the steps of tasks one after the other, outside Swift's pool.
///
/// Swift's pool has one thread per core, so as many jobs that block or compute stop all other tasks on it. A
/// serial Dispatch queue gets an additional thread, and uses none while it is idle.
package final class SerialThread: TaskExecutor {
  /// The executor that waits for deadlines; no step on it takes long.
  package static let deadlines = SerialThread("qudo.deadlines")

  private let queue: DispatchQueue

  /// - Parameter label: The name of the queue, for debuggers.
  package init(_ label: String) { queue = DispatchQueue(label: label) }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
