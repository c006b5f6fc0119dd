import ForwardingDriver
import Qudo

/// A driver that cannot join a transaction of the application's.
struct PlainDriver: ForwardingDriver {
  let base: any LogDriver
}
