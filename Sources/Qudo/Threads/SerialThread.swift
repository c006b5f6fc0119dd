internal import Dispatch

/// Runs the steps of tasks one after the other on a thread that is not of Swift's pool.
///
/// Swift's pool has as many threads as there are cores, so that as many jobs which block or compute stop all tasks on it. A serial
/// queue of Dispatch gets a thread beyond that number, and has none while there is nothing to do.
package final class SerialThread: TaskExecutor {
  /// Where deadlines are waited for: nothing there takes time.
  package static let deadlines = SerialThread("qudo.deadlines")

  private let queue: DispatchQueue

  /// - Parameter label: names the queue, for debuggers.
  package init(_ label: String) { queue = DispatchQueue(label: label) }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
