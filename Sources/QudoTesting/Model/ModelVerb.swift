/// The action of a step.
enum ModelVerb: String, CaseIterable, Sendable {
  case job, crowd, flawed, insert
  case want, claim
  case outcome, settle, finish, extend
  case promote, find, count, failures, statuses, replay, prune
  case advance, jump, reboot, reopen
  case cancel, cancelMatching, pause, resume
  case change, changeMatching, recover, outcomes, look
  case recoverMatching
  case expires, changeExpiry, route
  case schedule, tick, due, unschedule
  case bound
  case resolve
  case atMost
  case rate, throttle
  case keyed
  case debounce, throttled
  case grouped
  case stopping, resumeKeys
  case keyRate

  var operands: [ModelOperand] { Self.all[self] ?? [] }

  /// Each verb as often as its share. The indices are the byte values in scripts.
  static let dealt: [ModelVerb] = shares.flatMap { Array(repeating: $0.verb, count: $0.share) }

  private static let shares: [(verb: ModelVerb, share: Int)] = [
    (.job, 11), (.crowd, 1), (.flawed, 1), (.insert, 7), (.want, 4), (.claim, 7), (.outcome, 8), (.settle, 6),
    (.finish, 2),
    (.extend, 2), (.promote, 1), (.find, 2), (.count, 1), (.failures, 1), (.statuses, 1), (.replay, 2),
    (.prune, 1), (.advance, 3),
    (.jump, 1), (.reboot, 1), (.reopen, 1),
    // Last, so that the bytes of older scripts keep their meaning.
    (.cancel, 3), (.cancelMatching, 1), (.pause, 1), (.resume, 2),
    (.change, 3), (.changeMatching, 1), (.recover, 1), (.outcomes, 2),
    (.look, 2), (.recoverMatching, 1), (.expires, 3), (.changeExpiry, 1), (.route, 1),
    (.schedule, 2), (.tick, 3), (.due, 1), (.unschedule, 1),
    (.bound, 3), (.resolve, 1), (.atMost, 4), (.rate, 4), (.throttle, 1), (.keyed, 6),
    (.debounce, 4), (.throttled, 5), (.grouped, 6), (.stopping, 5), (.resumeKeys, 2), (.keyRate, 5),
  ]

  /// The new values of a change.
  private static let newValues = [
    ModelOperand("priority", "keep keep 0 1 -1 highest keep keep"),
    ModelOperand("due", "keep keep now now 1s 5s 3600s past now+9s keep keep keep keep latest 1us earliest"),
    ModelOperand("payload", "keep keep number 5000 keep keep empty keep"),
    ModelOperand("meta", "keep keep none bytes"),
  ]

  private static let all: [ModelVerb: [ModelOperand]] = [
    .job: [
      .kind,
      ModelOperand("key", "none none none none none none none k1 k1 k1 k2 k2 k3 composed decomposed long"),
      ModelOperand("scope", "untilFinished untilStarted"),
      ModelOperand("conflict", "reject keep overwrite overwrite"),
      ModelOperand("priority", "0 0 0 0 1 -1 lowest highest"),
      ModelOperand("due", "now now now now 1us 1s 3s 5s 20s 3600s past past now+0s now+9s earliest latest"),
      ModelOperand("payload", "number number number empty nul 300 5000 codec"),
      ModelOperand("meta", "none none entry bytes"),
      ModelOperand("once", "no no no no no no no no no no o1 o1 o2 o2 o3 o4"),
    ],
    .crowd: [
      .kind, ModelOperand("size", "3 9 40 70"), ModelOperand("due", "now now past 3s"),
      ModelOperand("priority", "0 mixed"),
    ],
    .flawed: [
      ModelOperand("flaw", "noKind nulKind longKind noKey nulKey longKey payload priority delay time")
    ],
    .insert: [.driver],
    .want: [
      .kind, ModelOperand("lease", "20s \(ModelOperand.seconds) 20s 20s 3600s endless 5s 5s 5s"),
      ModelOperand("lost", "5 1 2 3"),
      ModelOperand("limit", "none none none none 0 1 2 3"),
    ],
    .claim: [.driver, .limit, .claimed],
    .outcome: [
      ModelOperand(
        "lease", "newest 2nd 3rd 4th newest newest oldest 2nd 3rd 5th 6th 7th oldest newest newest newest"),
      ModelOperand("keep", "no no no yes"),
      ModelOperand("token", "right right right right right right right wrong"),
      ModelOperand(
        "result",
        "completed completed completed completed retry retry retry snoozed counted failed failed aborted released replaced replaced"
          + " unbegun"),
      ModelOperand("after", ModelOperand.seconds), ModelOperand("recording", "no no no 0s 1us 5s 9s endless"),
    ],
    .settle: [.driver, ModelOperand("claims", "no no no yes"), .limit],
    .finish: [.driver, ModelOperand("leases", "all 3"), ModelOperand("claims", "no yes"), .limit],
    .extend: [
      .driver, ModelOperand("leases", "newest all half none"),
      ModelOperand("by", "20s \(ModelOperand.seconds) 9s 9s 3600s endless 5s 5s 5s"),
      ModelOperand("keep", "new old"),
    ],
    .promote: [.driver, .page],
    .find: [
      .driver, .filter,
      ModelOperand("states", "any held ready delayed running ready+delayed delayed+running none"), .rows,
      ModelOperand("after", "0 0 oldest newest"), .page,
    ],
    .count: [.driver, .filter],
    .failures: [
      .driver, .filter, ModelOperand("order", "newest oldest"), .page, ModelOperand("offset", "0 0 1 5"),
      .rows, ModelOperand("only", "any open worded recent"),
    ],
    .statuses: [
      .driver, .filter, ModelOperand("order", "newest oldest"), .page, ModelOperand("offset", "0 0 1 5"),
      .rows,
    ],
    .replay: [
      .driver, ModelOperand("rows", "newest oldest all some twice gone none newest"),
      ModelOperand("with", "same same same priority due payload key all"),
    ],
    .resolve: [.driver, ModelOperand("rows", "newest oldest all some twice gone none newest")],
    .prune: [
      .driver, ModelOperand("before", "any -60s -5s +5s"), ModelOperand("keep", "0 1 5 20"),
      ModelOperand("limit", "1000 1 3 0"), ModelOperand("olderThan", "none none 5s 20s"),
    ],
    .advance: [ModelOperand("by", "1s 1us 2s 4s 5s 20s 60s 90000s")],
    .jump: [ModelOperand("by", "-10s 10s -3600s 3600s 1us -1us 90000s -90000s")],
    .reopen: [.driver],
    .cancel: [.driver, .jobs, .reason],
    .change: [.driver, .jobs] + newValues,
    .changeMatching: [
      .driver, .filter, ModelOperand("states", "any ready delayed held ready+delayed none ready running"),
      .page,
    ] + newValues,
    .recover: [.driver, .jobs],
    .recoverMatching: [
      .driver, .filter, ModelOperand("states", "any running any running+delayed ready none any running"),
      .page,
    ],
    .outcomes: [
      .driver, ModelOperand("ids", "any all some gone none any any some"), .kind,
      ModelOperand("key", "k1 k2 k3 composed decomposed long none k1"),
    ],
    .cancelMatching: [
      .driver, .filter, ModelOperand("states", "running ready delayed any ready+held none ready held"),
      .page, .reason,
    ],
    .look: [
      .driver, ModelOperand("verb", "find find cancel change"), .filter,
      ModelOperand("states", "any held ready delayed running ready+delayed delayed+running none"),
      ModelOperand("at", "prefix key priority meta due enqueued payload payload+priority"), .page,
      ModelOperand("olderThan", "none none none none 1s 5s 20s 0s"),
    ],
    .expires: [.expiry],
    .bound: [
      ModelOperand("full", "refuse refuse drop drop"), ModelOperand("at", "3 1 2 5 9 20 40 0"),
      ModelOperand("jobs", "last all all all"),
    ],
    .keyed: [
      ModelOperand("with", "k1 k1 k1 k2 k2 k3 composed decomposed"), ModelOperand("most", "1 1 1 2 3 1 2 9"),
      ModelOperand("jobs", "last last all all"),
    ],
    .keyRate: [
      ModelOperand("of", "2/1s/2 1/1s/1 3/5s/1 5/2s/9 1/60s/3 9/1s/9 1/1us/9 none"),
      ModelOperand("jobs", "all all all last"),
    ],
    .stopping: [ModelOperand("jobs", "all all all last")],
    .resumeKeys: [.driver, .kind, ModelOperand("keys", "k1 k1 k2 k1+k2 k1+k2+k3 all all unknown")],
    .grouped: [
      ModelOperand("with", "g1 g1 g1 g2 g2 g3 composed decomposed"), ModelOperand("jobs", "last all all all"),
    ],
    .throttled: [
      ModelOperand("for", "5s 1s 20s 3600s 60s 1us 9s endless"), ModelOperand("jobs", "last all all all"),
    ],
    .debounce: [
      ModelOperand("within", "9s 5s 20s 1s 60s 3600s 0s 1us"), ModelOperand("jobs", "last last all all"),
    ],
    .atMost: [ModelOperand("running", "1 2 3 5 9 0"), ModelOperand("wants", "last all")],
    .rate: [
      ModelOperand("of", "2/1s/2 1/1s/1 3/5s/1 5/2s/9 1/60s/3 9/1s/9 1/1us/9 0/1s/1"),
      ModelOperand("wants", "last all"),
    ],
    .throttle: [
      .driver, .kind, ModelOperand("of", "2/1s/2 1/1s/1 3/5s/1 5/2s/9 1/60s/3 9/1s/9 1/1us/9 0/1s/1"),
      ModelOperand("for", "1s 5s 20s 1us 3600s 0s 3s 2s"),
    ],
    .changeExpiry: [.driver, .jobs, .expiry],
    .route: [.driver, .kind, ModelOperand("to", "none e e f b a none h")],
    .schedule: [
      .driver, .schedules, ModelOperand("version", "stored stored stored new older stored stored new"), .kind,
      ModelOperand("priority", "0 0 1 -1"), .next,
      ModelOperand("payload", "number number empty nul 300 codec"),
      ModelOperand("meta", "none none entry bytes"),
    ],
    .tick: [
      .driver, .schedules, ModelOperand("version", "stored stored stored stored stored stored older new"),
      .next,
      ModelOperand("overlap", "enqueue skip"),
    ],
    .due: [.driver, ModelOperand("after", "none none s t"), .page],
    .unschedule: [.driver, .schedules],
    .pause: [
      .driver, ModelOperand("kinds", "a b a+b everything d+e+f a unknown none"),
      ModelOperand("until", "1s 5s 20s never 3600s 0s past 20s"), .reason,
    ],
    .resume: [.driver, ModelOperand("kinds", "any a b a+b any d+e+f unknown none")],
  ]
}
