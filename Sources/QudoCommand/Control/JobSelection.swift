internal import ArgumentParser
internal import Qudo

/// The jobs that a verb is for: some by their ids, or all of some kinds and states.
struct JobSelection: ParsableArguments {
  @Argument(help: ArgumentHelp("Ids of jobs; with several databases, DATABASE/ID.", valueName: "id"))
  var ids: [JobName] = []
  @OptionGroup var kind: KindOption
  @Option(help: "Only this state: ready, delayed or running. Repeat for several. Default: all.") var state:
    [JobState] = []
  @Flag(help: "All jobs of all kinds.") var all = false
  @Flag(help: "Change nothing, and say what would happen to which jobs.") var dryRun = false
  @Flag(help: "Print one JSON array.") var json = false

  var isBulk: Bool { all || kind.kinds != nil || !state.isEmpty }

  func validate() throws {
    if isBulk, !ids.isEmpty { throw ValidationError("give ids, or --kind, --state or --all, not both") }
    if all, kind.kinds != nil || !state.isEmpty {
      throw ValidationError("--all is every job: leave it out with --kind or --state")
    }
    if !isBulk, ids.isEmpty { throw ValidationError("give the ids of jobs, or --kind, --state or --all") }
  }
}

extension JobSelection {
  var jobs: SelectedJobs {
    SelectedJobs(
      ids: ids, kinds: kind.kinds, states: state.isEmpty ? nil : Set(state), isBulk: isBulk, dryRun: dryRun,
      json: json)
  }
}

/// The jobs that were selected, and how to say what becomes of them.
struct SelectedJobs: Sendable {
  let ids: [JobName]
  var kinds: [Kind]?
  var states: Set<JobState>?
  var isBulk = false
  var dryRun = false
  let json: Bool
}
