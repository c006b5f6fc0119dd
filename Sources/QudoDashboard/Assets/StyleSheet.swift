#if Dashboard
/// The files that pages load. They contain no data of the queue, so they need no authentication.
enum Assets {
  static let styleSheet: String = """
    :root {
      color-scheme: light dark;
      --page: #f5f6f8; --card: #ffffff; --text: #1a1e24; --quiet: #55606e; --line: #dce1e7; --stripe: #f8f9fb;
      --accent: #0a5bc4; --accent-soft: #e3eefc; --focus: #0a5bc4; --shadow: 0 1px 2px rgb(20 30 50 / 6%);
      --blue: #1f6fd6; --violet: #7a4fd0; --green: #14804a; --red: #c22f3d; --amber: #9a5b00; --teal: #0b7a83;
      --blue-soft: #e3eefc; --violet-soft: #efe9fc; --green-soft: #def3e7; --red-soft: #fde7e9; --amber-soft: #fdf0d9;
      --gray-soft: #eceff3;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --page: #0e1116; --card: #161b22; --text: #e5e9ef; --quiet: #9ba6b4; --line: #2a323d; --stripe: #1a2028;
        --accent: #79b4ff; --accent-soft: #17294a; --focus: #79b4ff; --shadow: none;
        --blue: #6aa8ff; --violet: #b69bff; --green: #4fcb8a; --red: #ff8b94; --amber: #f0b35a; --teal: #4fc9d4;
        --blue-soft: #15294b; --violet-soft: #292046; --green-soft: #11332a; --red-soft: #431f26; --amber-soft: #3b2b12;
        --gray-soft: #222932;
      }
    }
    * { box-sizing: border-box; }
    html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
    body {
      margin: 0; background: var(--page); color: var(--text);
      font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif;
      font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
    }
    h1, h2, h3 { line-height: 1.25; margin: 0; font-weight: 650; letter-spacing: -0.01em; }
    h1 { font-size: 1.5rem; } h2 { font-size: 1.0625rem; } h3 { font-size: .9375rem; }
    p { margin: .5rem 0; }
    a { color: var(--accent); text-underline-offset: .15em; text-decoration-thickness: 1px; }
    a:hover { text-decoration-thickness: 2px; }
    code, pre, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; font-size: .875em; }
    :focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 4px; }
    main:focus { outline: none; }
    .skip { position: absolute; left: 1rem; top: -4rem; background: var(--card); padding: .5rem 1rem; border-radius: 0 0 6px 6px; z-index: 10; }
    .skip:focus { top: 0; }
    .hidden { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

    .bar { background: var(--card); border-bottom: 1px solid var(--line); }
    .bar-in { max-width: 76rem; margin: 0 auto; padding: .5rem 1.25rem; display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1rem; }
    .brand { display: flex; align-items: center; gap: .5rem; font-weight: 700; font-size: 1.0625rem; color: var(--text); text-decoration: none; }
    .brand svg { width: 1.5rem; height: 1.5rem; }
    .bar nav { flex: 1 1 auto; min-width: 0; overflow-x: auto; scrollbar-width: none; }
    .bar nav ul { display: flex; gap: .125rem; list-style: none; margin: 0; padding: 3px; }
    .bar nav a { display: block; padding: .375rem .625rem; border-radius: 6px; color: var(--quiet); text-decoration: none; white-space: nowrap; font-weight: 500; }
    .bar nav a:hover { background: var(--gray-soft); color: var(--text); }
    .bar nav a[aria-current] { background: var(--accent-soft); color: var(--accent); font-weight: 600; }
    .search { display: flex; gap: .375rem; flex: 0 1 17rem; }
    .search input { flex: 1; min-width: 0; }
    main { max-width: 76rem; margin: 0 auto; padding: 1.25rem; }
    footer { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem 2rem; color: var(--quiet); font-size: .8125rem; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; align-items: center; }
    footer button { font-size: .8125rem; gap: .375rem; }

    .head { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .5rem 1rem; margin-bottom: 1rem; }
    .head p { margin: 0; color: var(--quiet); }
    .crumb { color: var(--quiet); font-size: .875rem; margin: 0 0 .25rem; }
    .live { display: inline-flex; align-items: center; gap: .5rem; color: var(--quiet); font-size: .875rem; }
    .dot { width: .5625rem; height: .5625rem; border-radius: 50%; background: var(--quiet); flex: none; }
    .live[data-state=on] .dot { background: var(--green); }
    .live[data-state=off] .dot { background: var(--amber); }
    @media (prefers-reduced-motion: no-preference) {
      .live[data-state=on] .dot { animation: pulse 2.4s ease-in-out infinite; }
      @keyframes pulse { 50% { opacity: .35; } }
    }

    .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; box-shadow: var(--shadow); margin: 0 0 1rem; min-width: 0; }
    .card > h2, .card > .card-head { padding: .875rem 1rem .625rem; }
    .card-head { display: flex; flex-wrap: wrap; gap: .25rem .75rem; align-items: baseline; }
    .card-head .buttons, .card-head .aside { margin-left: auto; }
    .card-head p { margin: 0; color: var(--quiet); font-size: .875rem; }
    .card-body { padding: 0 1rem 1rem; }
    .card > .card-body:first-child { padding-top: 1rem; }

    .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 0 0 1rem; padding: 0; }
    .tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; box-shadow: var(--shadow); padding: .75rem 1rem; min-width: 0; }
    .tile dt { color: var(--quiet); font-size: .8125rem; display: flex; align-items: center; gap: .4375rem; }
    .tile dd { margin: .125rem 0 0; font-size: 1.5rem; font-weight: 650; letter-spacing: -0.02em; line-height: 1.2; white-space: nowrap; }
    .tile dd.sub { font-size: .8125rem; font-weight: 400; letter-spacing: 0; color: var(--quiet); white-space: normal; }
    .key { width: .6875rem; height: .6875rem; border-radius: 3px; flex: none; background: var(--quiet); }
    .key.blue { background: var(--blue); } .key.violet { background: var(--violet); } .key.green { background: var(--green); }
    .key.red { background: var(--red); } .key.amber { background: var(--amber); } .key.teal { background: var(--teal); }
    .key.dashed { mask-image: repeating-linear-gradient(to right, #000 0 3px, transparent 3px 4px); border-radius: 0; height: .25rem; }

    .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1rem; margin-bottom: 1rem; }
    .charts .card { margin: 0; }
    figure { margin: 0; padding: .875rem 1rem .75rem; display: flex; flex-direction: column; }
    figure .plot { margin-top: auto; }
    figcaption { font-weight: 650; margin-bottom: .125rem; }
    .legend { display: flex; flex-wrap: wrap; gap: .125rem .875rem; list-style: none; margin: 0 0 .5rem; padding: 0; font-size: .8125rem; color: var(--quiet); min-height: 1.25rem; }
    .legend li { display: inline-flex; align-items: center; gap: .375rem; white-space: nowrap; }
    .legend b { color: var(--text); font-weight: 600; }
    .plot { display: grid; grid-template-columns: 3.75rem 1fr; }
    .plot .y { display: flex; flex-direction: column; justify-content: space-between; text-align: right; padding-right: .5rem; font-size: .6875rem; line-height: 1; color: var(--quiet); white-space: nowrap; }
    .plot .x { grid-column: 2; display: flex; justify-content: space-between; font-size: .6875rem; color: var(--quiet); padding-top: .25rem; }
    .plot svg { display: block; width: 100%; height: 8.5rem; overflow: visible; }
    .grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
    .line { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-linecap: round; }
    .area { stroke: none; opacity: .12; }
    .line.blue { stroke: var(--blue); } .line.violet { stroke: var(--violet); } .line.green { stroke: var(--green); }
    .line.red { stroke: var(--red); } .line.amber { stroke: var(--amber); } .line.teal { stroke: var(--teal); }
    .line.dashed { stroke-dasharray: 5 3; }
    .area.blue { fill: var(--blue); } .area.violet { fill: var(--violet); } .area.green { fill: var(--green); }
    .area.red { fill: var(--red); } .area.amber { fill: var(--amber); } .area.teal { fill: var(--teal); }
    .spark { width: 4.5rem; height: 1.25rem; display: inline-block; vertical-align: middle; margin: -.25rem 0; }
    .plot-empty { grid-column: 1 / -1; height: 8.5rem; display: grid; place-items: center; color: var(--quiet); font-size: .875rem; border: 1px dashed var(--line); border-radius: 6px; text-align: center; padding: 0 1rem; }

    .scroll { overflow-x: auto; border-radius: 0 0 10px 10px; position: relative; }
    .scroll:first-child { border-radius: 10px; }
    .scroll:first-child thead th { border-top: 0; }
    table { border-collapse: collapse; width: 100%; font-size: .875rem; }
    caption { text-align: left; }
    th, td { text-align: left; padding: .5rem .75rem; vertical-align: baseline; border-top: 1px solid var(--line); }
    th { font-weight: 600; }
    thead th { color: var(--quiet); font-size: .75rem; font-weight: 600; white-space: nowrap; border-top: 1px solid var(--line); background: var(--stripe); vertical-align: bottom; }
    th:first-child, td:first-child { padding-left: 1rem; }
    th:last-child, td:last-child { padding-right: 1rem; }
    tbody tr:hover { background: var(--stripe); }
    .num { text-align: right; white-space: nowrap; }
    .nowrap, time { white-space: nowrap; }
    td.name, th.name { min-width: 8rem; max-width: 22rem; }
    .wide-name th.name { min-width: 10.5rem; }
    .dense th, .dense td { padding-left: .5rem; padding-right: .5rem; }
    .dense th:first-child { padding-left: 1rem; } .dense th:last-child, .dense td:last-child { padding-right: 1rem; }
    .even { table-layout: fixed; } .even .num:first-child { text-align: left; }
    td.text { min-width: 12rem; max-width: 28rem; color: var(--quiet); }
    .clip { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 26rem; }
    .lines { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
    .quiet, .none { color: var(--quiet); }
    .zero { color: var(--quiet); }
    .bad { color: var(--red); font-weight: 600; }
    .warn { color: var(--amber); font-weight: 600; }
    .sub { color: var(--quiet); font-size: .8125rem; }

    .badge { display: inline-block; padding: .0625rem .5rem; border-radius: 99px; font-size: .75rem; font-weight: 600; line-height: 1.5; white-space: nowrap; background: var(--gray-soft); color: var(--text); }
    .badge.blue { background: var(--blue-soft); color: var(--accent); } .badge.violet { background: var(--violet-soft); color: var(--violet); }
    .badge.green { background: var(--green-soft); color: var(--green); } .badge.red { background: var(--red-soft); color: var(--red); }
    .badge.amber { background: var(--amber-soft); color: var(--amber); }
    @media (prefers-color-scheme: light) {
      .badge.violet { color: #5f35b5; } .badge.green { color: #0d6338; } .badge.red { color: #a3202e; } .badge.amber { color: #7d4a00; }
    }

    .filters { display: flex; flex-wrap: wrap; gap: .625rem .75rem; align-items: flex-end; padding: .875rem 1rem; }
    .field { display: flex; flex-direction: column; gap: .1875rem; min-width: 0; flex: 0 1 auto; }
    .field.wide { flex: 1 1 12rem; }
    .field > label, .field > .label { font-size: .75rem; color: var(--quiet); font-weight: 600; }
    .field .hint { font-size: .75rem; color: var(--quiet); }
    input, select, textarea, button, .button {
      font: inherit; font-size: .875rem; color: var(--text); background: var(--card); border: 1px solid #8b95a3; border-radius: 6px; padding: .375rem .625rem; min-height: 2.25rem; max-width: 100%;
    }
    @media (prefers-color-scheme: dark) { input, select, textarea, button, .button { border-color: #66717f; background: #10151b; } }
    input[type=search], input[type=text], select { width: 100%; }
    .field select { max-width: 13rem; }
    ::placeholder { color: var(--quiet); opacity: 1; }
    button, .button { cursor: pointer; font-weight: 600; text-decoration: none; display: inline-flex; align-items: center; justify-content: center; white-space: nowrap; border-color: var(--line); background: var(--gray-soft); }
    button:hover, .button:hover { border-color: #8b95a3; }
    .primary { background: var(--accent); border-color: var(--accent); color: #fff; }
    .danger { background: #b3202f; border-color: #b3202f; color: #fff; }
    @media (prefers-color-scheme: dark) { .primary { color: #06152b; } }
    .small { min-height: 1.75rem; padding: .125rem .5rem; font-size: .8125rem; }
    .buttons { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
    td .buttons { flex-wrap: nowrap; }
    kbd { font: 600 .75rem/1.4 ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 4px; padding: 0 .375rem; background: var(--stripe); }

    .pager { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between; padding: .75rem 1rem; border-top: 1px solid var(--line); color: var(--quiet); font-size: .875rem; }
    .empty { padding: 2rem 1rem; text-align: center; color: var(--quiet); border-top: 1px solid var(--line); }
    .empty:first-child { border-top: 0; }
    .empty .what { color: var(--text); font-weight: 650; font-size: 1rem; margin-bottom: .25rem; }
    .note { border: 1px solid var(--line); border-left: 4px solid var(--accent); background: var(--card); border-radius: 6px; padding: .625rem 1rem; margin: 0 0 1rem; }
    .note.good { border-left-color: var(--green); } .note.bad-note { border-left-color: var(--red); } .note.warn-note { border-left-color: var(--amber); }
    .note p { margin: .125rem 0; }

    .facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem 1.25rem; margin: 0; padding: .25rem 1rem 1rem; }
    .facts dt { color: var(--quiet); font-size: .75rem; font-weight: 600; }
    .facts dd { margin: 0; }
    pre { margin: 0; padding: .75rem 1rem; background: var(--stripe); border-top: 1px solid var(--line); overflow: auto; max-height: 32rem; line-height: 1.5; font-size: .8125rem; tab-size: 2; border-radius: 0 0 10px 10px; }
    pre.wrap { white-space: pre-wrap; }
    .timeline { list-style: none; margin: 0; padding: 0 1rem 1rem 1.25rem; }
    .timeline li { position: relative; padding: 0 0 .875rem 1.25rem; border-left: 2px solid var(--line); }
    .timeline li:last-child { border-left-color: transparent; padding-bottom: 0; }
    .timeline li::before { content: ""; position: absolute; left: -.4375rem; top: .375rem; width: .75rem; height: .75rem; border-radius: 50%; background: var(--quiet); border: 2px solid var(--card); }
    .timeline li.green::before { background: var(--green); } .timeline li.red::before { background: var(--red); }
    .timeline li.amber::before { background: var(--amber); } .timeline li.blue::before { background: var(--blue); }
    .timeline p { margin: .125rem 0; }
    dialog { color: var(--text); background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.25rem; max-width: min(30rem, calc(100vw - 2rem)); }
    dialog::backdrop { background: rgb(10 15 25 / 45%); }
    dialog dl, .keys { display: grid; grid-template-columns: auto 1fr; gap: .375rem 1rem; margin: .75rem 0 1rem; }
    dialog dd, .keys dd { margin: 0; }
    .narrow { max-width: 38rem; }
    .card-body > .field { margin: .875rem 0; } .confirm { margin-top: 1.25rem; }
    .lockup { margin-top: 10vh; }
    details > summary { cursor: pointer; color: var(--quiet); font-size: .8125rem; }

    @media (max-width: 40rem) {
      main { padding: 1rem .75rem; } .bar-in { padding: .5rem .75rem; } footer { padding: 0 .75rem 1.5rem; }
      .search { flex: 1 1 11rem; order: 2; }
      .bar nav { order: 3; flex: 1 1 100%; mask-image: linear-gradient(to right, #000 calc(100% - 2.5rem), transparent); }
      .bar nav ul { padding-right: 2.5rem; width: max-content; }
      .field, .field.wide { flex: 1 1 8.5rem; } .field select { max-width: none; }
      .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; }
      .tile { padding: .625rem .75rem; } .tile dd { font-size: 1.25rem; }
      h1 { font-size: 1.3125rem; }
      .fold thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
      .fold tr { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .125rem .75rem; padding: .625rem .75rem; border-top: 1px solid var(--line); }
      .fold th, .fold td { display: block; border: 0; padding: .0625rem 0 !important; text-align: left; min-width: 0; max-width: none; white-space: normal; }
      .fold .full { grid-column: 1 / -1; }
      .fold td[data-label]::before { content: attr(data-label); display: block; font-size: .6875rem; color: var(--quiet); font-weight: 600; }
      .fold .gone { display: none; }
      .dense tr { grid-template-columns: repeat(3, minmax(0, 1fr)); }
      .dense th.full { grid-column: 1 / 3; } .dense td.action { grid-area: 1 / 3; text-align: right; }
      .dense .spark { width: 100%; }
      .even tr { grid-template-columns: repeat(2, minmax(0, 1fr)); }
      .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
      .clip { max-width: 100%; }
      td .buttons { flex-wrap: wrap; }
    }
    @media print { .bar nav, .search, .filters, .pager a, footer button { display: none; } body { background: #fff; } }
    """
}
#endif
