// The parts of the page, each from what was heard.

// What the daemon says, and what only the quarantine itself can tell: whether something is in it.
function summaryOf(status) {
  const {grade, headline, safe, flows} = status.summary;
  const summary = {grade: gradeOf(grade), headline, safe: {...safe}, flows: {...flows}};
  const problems = status.problems.map(({effect, cause, remedy}) => {
    const [itsGrade, words] = EFFECTS[effect] ?? ["warning", "Needs a look"];
    return {grade: itsGrade, words, cause, remedy};
  });
  const kept = heard.quarantine?.events?.length ?? 0;
  if (kept > 0) {
    const count = heard.quarantine.more
      ? `More than ${wholes.format(kept)} events`
      : counted(kept, "event");
    problems.push({
      grade: "warning",
      words: "Refused by the database",
      cause: `${count} in quarantine: refused by the database. Nothing else waits for that.`,
      remedy:
        "Below is why, for each. Mend the column or the gateway; the events are kept whole until " +
        "somebody decides about them.",
    });
    if (summary.grade === "good") {
      summary.grade = "warning";
      summary.headline = "It flows, and events in quarantine wait for a decision.";
    }
  }
  return {summary, problems};
}

function showVerdict(status) {
  const {summary, problems} = summaryOf(status);
  mark(byId("verdict"), summary.grade);
  say(byId("headline"), summary.headline);
  question(byId("safe"), gradeOf(summary.safe.grade), summary.safe.answer, summary.safe.because);
  const rate = acceptedRate();
  const pending = number(status.books.pending);
  const oldest = Math.max(0, ...status.lanes.map((lane) => seconds(lane.oldest_age)));
  const figures = [];
  if (rate !== null && isTaking(status)) figures.push(`${rounded(rate)} events/s come in`);
  if (status.books.complete) {
    const waits = `${wholes.format(pending)} ${pending === 1 ? "waits" : "wait"}`;
    const since = oldest >= 1 ? `, the oldest for ${duration(oldest)}` : "";
    figures.push(pending === 0 ? "none waits" : waits + since);
  }
  question(
    byId("flows"),
    gradeOf(summary.flows.grade),
    summary.flows.answer,
    figures.length === 0
      ? summary.flows.because
      : `${summary.flows.because} Now: ${figures.join("; ")}.`,
  );
  showProblems(problems);
  const sign = {good: "✓", warning: "▲", bad: "✕"}[summary.grade] ?? "?";
  document.title = `${sign} Holdfast: ${summary.headline}`;
  paintIcon(summary.grade);
}

function showProblems(problems) {
  byId("problems").hidden = problems.length === 0;
  fill(
    byId("problems").querySelector("ol"),
    problems.map(({grade, words, cause, remedy}) => {
      const item = made("li");
      item.dataset.grade = grade;
      const what = made("p", "remedy");
      what.append(made("b", "", "What to do: "), remedy);
      item.append(made("p", "effect", words), made("p", "cause", cause), what);
      return item;
    }),
  );
}

function showHeader(status) {
  say(byId("version"), status.version);
  const up = (timeOf(status.answered_at) - timeOf(status.started_at)) / 1000;
  say(byId("who"), `writer ${status.writer_id}, up ${duration(up)}`);
}

function showStations(status) {
  const {journal, database, lanes, books} = status;
  const rate = acceptedRate();
  const taking = isTaking(status);
  station(
    "gateways",
    taking ? "good" : "bad",
    taking ? "events are taken" : "events are refused",
    counted(number(status.streams), "stream"),
    rate === null || !taking ? "" : `${rounded(rate)} events/s accepted`,
  );

  const used = number(journal.used_bytes);
  const limit = number(journal.limit_bytes);
  const filling = journal.failure || journal.full ? "bad" : used > limit / 2 ? "warning" : "good";
  const sync = syncTime();
  const full = timeToFull(journal);
  const held = status.summary.flows.grade !== "GRADE_GOOD";
  station(
    "journal",
    filling,
    journal.failure
      ? "failed"
      : journal.full
        ? "full"
        : filling === "warning"
          ? `${rounded((100 * used) / limit)} % full`
          : "on the disk",
    bytes(used),
    [
      `of ${bytes(limit)}`,
      sync === null ? "no sync in the last minute" : `sync ${duration(sync)}, mean of a minute`,
      held && full !== null && !journal.full ? `full in about ${duration(full)} at this rate` : "",
    ]
      .filter(Boolean)
      .join("\n"),
  );
  byId("journal").querySelector(".meter div").style.width =
    `${Math.min(100, (100 * used) / Math.max(1, limit))}%`;

  const halted = lanes.filter((lane) =>
    ["LANE_STATE_STOPPED", "LANE_STATE_FENCED"].includes(lane.state),
  ).length;
  const retrying = lanes.filter((lane) => lane.state === "LANE_STATE_RETRYING").length;
  const oldest = Math.max(0, ...lanes.map((lane) => seconds(lane.oldest_age)));
  const away = database.failure !== "";
  const laneState = halted
    ? `${halted} of ${lanes.length} stopped`
    : away
      ? "waiting for the database"
      : retrying
        ? `${retrying} of ${lanes.length} retrying`
        : `${lanes.length} in order`;
  // Colour goes to where it is stuck, and not to those who wait for it.
  station(
    "lanes",
    halted || (retrying && !away) ? "warning" : "good",
    laneState,
    books.complete ? `${grouped(books.pending)} pending` : "pending: not known yet",
    oldest > 0 ? `oldest ${duration(oldest)}` : "none waits",
  );

  const connected = database.endpoint !== "" && !away;
  const circuit = status.circuits[0];
  const breaker = BREAKER_STATES[circuit?.state] ?? "unknown";
  const committed = committedRate();
  station(
    "database",
    away ? "warning" : "good",
    away ? "away" : connected ? "connected" : "not asked yet",
    committed === null ? "…" : `${rounded(committed)}/s`,
    `${committed === null ? "" : "events committed\n"}breaker ${breaker}`,
  );
}

function showBooks(books) {
  for (const name of ["accepted", "committed", "duplicate", "quarantined", "adjusted", "pending"]) {
    const known = books.complete || name === "accepted";
    say(byId(`books-${name}`), known ? grouped(books[name]) : "?");
  }
  const sum = ["committed", "duplicate", "quarantined", "adjusted", "pending"].reduce(
    (total, name) => total + number(books[name]),
    0,
  );
  say(
    byId("books-note"),
    !books.complete
      ? "? until every lane has read its position from the database."
      : sum === number(books.accepted)
        ? "The balance is even: every accepted event is accounted for."
        : `The balance is off by ${wholes.format(number(books.accepted) - sum)}: a daemon's fault.`,
  );
}

function laneRow(lane, hasReason) {
  const [grade, word] = LANE_STATES[lane.state] ?? ["unknown", "unknown"];
  const row = made("tr", hasReason ? "has-reason" : "");
  const name = made("th", "", lane.lane);
  name.scope = "row";
  const state = made("td", "", word);
  state.dataset.grade = grade;
  const age = seconds(lane.oldest_age);
  row.append(
    name,
    state,
    made("td", "", lane.books.complete ? grouped(lane.books.pending) : "?"),
    made("td", "", age > 0 ? shortDuration(age) : "–"),
  );
  return row;
}

// A reason that several lanes in a row have stands once, below the last of them; that the database
// is away stands above for all.
function showLanes(lanes, databaseIsAway) {
  const reasonOf = (lane) =>
    databaseIsAway && lane?.state === "LANE_STATE_RETRYING" ? "" : (lane?.reason ?? "");
  fill(
    byId("lane-rows"),
    lanes.flatMap((lane, i) => {
      const text = reasonOf(lane);
      if (text === "" || text === reasonOf(lanes[i + 1])) return [laneRow(lane, text !== "")];
      const reason = made("td", "", text);
      reason.colSpan = 4;
      const under = made("tr", "reason");
      under.append(reason);
      return [laneRow(lane, true), under];
    }),
  );
}

function showJournal(journal) {
  const used = number(journal.used_bytes);
  const limit = number(journal.limit_bytes);
  const sync = syncTime();
  const damage = number(journal.corruptions);
  facts(byId("journal-facts"), [
    ["folder", journal.folder],
    [
      "in use",
      `${bytes(used)} of ${bytes(limit)} (${rounded((100 * used) / Math.max(1, limit))} %)`,
    ],
    ["segments", `${counted(number(journal.segments), "file")}, with delivered ones that are kept`],
    ["sync", sync === null ? "none in the last minute" : `${duration(sync)}, mean of a minute`],
    ["damage", damage === 0 ? "none found since the start" : counted(damage, "place")],
    ...(journal.failure ? [["failure", journal.failure]] : []),
  ]);
}

function breakerWords({state, last_state_change: changed, failures, attempts, config}) {
  const since = changed ? ` since ${moment(changed)}` : "";
  return (
    `${BREAKER_STATES[state] ?? "unknown"}${since}; ${counted(failures, "failure")} in ` +
    `${counted(attempts, "attempt")} within ${duration(seconds(config.failure_window))}, ` +
    `opens at ${config.failure_threshold}, ` +
    `tries again after ${duration(seconds(config.recovery_timeout))}`
  );
}

function showDatabase({database, circuits}) {
  const {endpoint, server_version: version, warnings} = database;
  const pool =
    `${grouped(database.connections_in_use)} in use, ${grouped(database.connections_idle)} idle, ` +
    `of at most ${grouped(database.connections_limit)}; ` +
    `${grouped(database.connections_waiting)} waiting for one`;
  const durable = endpoint ? "commits are durable" : "not known yet";
  facts(byId("database-facts"), [
    ["server", endpoint ? `${endpoint}, ${version}` : "not connected yet"],
    ["pool", pool],
    ...circuits.map((circuit) => ["breaker", breakerWords(circuit)]),
    ...circuits
      .filter((circuit) => circuit.last_failure)
      .map(({last_failure: failure, last_failure_time: time}) => [
        "last failure",
        `${moment(time)}: ${failure}`,
      ]),
    ["settings", warnings.length === 0 ? durable : warnings.join(". ")],
  ]);
}

function quarantineWords({quarantine, status}) {
  if (quarantine === null) return "Asking the database …";
  if (quarantine.failure) {
    const refused = status.books.complete ? number(status.books.quarantined) : 0;
    const known = `; ${counted(refused, "event")} went there since the journal was made`;
    return `${quarantine.failure} Nobody knows from here what is in it${refused > 0 ? known : ""}.`;
  }
  if (quarantine.events.length === 0) return "Empty.";
  const count = quarantine.events.length;
  return quarantine.more
    ? `The newest ${count}; /api/v1/quarantine has them all, by pages.`
    : `${counted(count, "event")}, newest first, without content.`;
}

function quarantineRow(event) {
  const item = made("li");
  const error = event.errno_code ? `error ${event.errno_code}` : "conflict";
  const column = event.column ? `, column ${event.column}` : "";
  const often = `, refused ${counted(event.attempts, "time")}, last ${moment(event.last_at)}`;
  const sender = `, from ${event.producer_id} as ${grouped(event.sequence)}`;
  const when =
    `number ${event.quarantine_id}, ${moment(event.first_at)}` +
    (event.attempts > 1 ? often : "") +
    (event.producer_id ? sender : "");
  item.append(
    made("p", "what", `${event.kind}: ${error}${column}`),
    made("p", "", event.reason),
    made("p", "when", when),
  );
  return item;
}

function showQuarantine() {
  say(byId("quarantine-note"), quarantineWords(heard));
  fill(byId("quarantine-rows"), (heard.quarantine?.events ?? []).map(quarantineRow));
}
