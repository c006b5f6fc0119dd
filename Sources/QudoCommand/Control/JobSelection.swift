internal import ArgumentParser
internal import Qudo

/// The jobs that a verb is for: some by their ids, or all that fit a filter.
struct JobSelection: ParsableArguments {
  @Argument(help: ArgumentHelp("Ids of jobs; with several databases, DATABASE/ID.", valueName: "id"))
  var ids: [JobName] = []
  @OptionGroup var filter: JobFilterOptions
  @Flag(help: "All jobs of all kinds.") var all = false
  @Flag(help: "Change nothing; print what would happen to each job.") var dryRun = false
  @Flag(help: "Print one JSON array.") var json = false

  var isBulk: Bool { all || filter.isGiven }

  func validate() throws {
    if isBulk, !ids.isEmpty {
      throw ValidationError("give ids, or a choice such as --kind or --all, not both")
    }
    if all, filter.isGiven {
      throw ValidationError("--all selects every job. Leave it out to select by --kind and the like")
    }
    if !isBulk, ids.isEmpty {
      throw ValidationError("give the ids of jobs, or a choice such as --kind, --state or --all")
    }
  }
}

extension JobSelection {
  var jobs: SelectedJobs {
    SelectedJobs(ids: ids, filter: filter.filter, isBulk: isBulk, dryRun: dryRun, json: json)
  }
}

/// The jobs that were selected, and how to say what becomes of them.
struct SelectedJobs: Sendable {
  let ids: [JobName]
  var filter = JobFilter()
  var isBulk = false
  var dryRun = false
  let json: Bool
}
