// Asks the daemon that served the page again and again, and shows what it says; once it says
// nothing, that is what is shown.

const STATUS_EVERY_MS = 2000;
const HISTORY_EVERY_MS = 5000;
const QUARANTINE_EVERY_MS = 10000;
const PATIENCE_MS = 4000;
const QUARANTINE_SHOWN = 20;

function showAnswer() {
  const {status} = heard;
  document.body.classList.remove("lost");
  byId("stale").hidden = true;
  byId("details").hidden = false;
  say(byId("freshness"), `live, ${clock.format(heard.at)}`);
  showHeader(status);
  showVerdict(status);
  showStations(status);
  showBooks(status.books);
  showLanes(status.lanes, status.database.failure !== "");
  showJournal(status.journal);
  showDatabase(status);
  showQuarantine();
  showLines();
}

function showLoss() {
  const since = heard.at ?? openedAt;
  const headline = `No answer from the daemon since ${clock.format(since)}.`;
  document.body.classList.add("lost");
  mark(byId("verdict"), "bad");
  say(byId("headline"), headline);
  say(byId("who"), heard.status === null ? "" : `writer ${heard.status.writer_id}`);
  say(byId("freshness"), `no answer for ${duration((Date.now() - since) / 1000)}`);
  question(
    byId("safe"),
    "unknown",
    "Nobody can tell from here",
    "What was acknowledged is in the journal or in the database, and stays there meanwhile.",
  );
  question(
    byId("flows"),
    "unknown",
    "Nobody can tell from here",
    "If the daemon is down, gateways have nowhere to send events to.",
  );
  showProblems([
    {
      grade: "bad",
      words: "No answer",
      cause: heard.failure || "This page was put aside, and has not asked since.",
      remedy:
        "Is holdfastd running, and is the way to this port open? Its log and its exit code say " +
        "how it ended (journalctl -u holdfastd, or kubectl logs --previous). Start it on the same " +
        "journal: it goes on where it was.",
    },
  ]);
  byId("stale").hidden = heard.at === null;
  say(byId("stale"), `What follows is old: it is from ${clock.format(since)}.`);
  document.title = `✕ Holdfast: ${headline}`;
  paintIcon("bad");
}

function show() {
  if (isLost()) showLoss();
  else if (heard.status !== null) showAnswer();
}

async function ask(path) {
  const answer = await fetch(path, {cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS)});
  const body = await answer.text();
  let value = null;
  try {
    value = JSON.parse(body);
  } catch {
    // Told below, with what came instead.
  }
  if (answer.ok && value !== null) return value;
  throw new Error(
    value?.error ?? `HTTP ${answer.status}: ${body.slice(0, 200) || "an empty answer"}`,
  );
}

async function askStatus() {
  try {
    const status = await ask("api/v1/status");
    // Another daemon, or one that began anew, goes on from other numbers.
    if (status.started_at !== heard.status?.started_at) heard.recent = [];
    const now = momentOf(status);
    heard.recent = [...heard.recent.filter((before) => now.at - before.at <= RECENT_S), now];
    heard.status = status;
    heard.at = Date.now();
    heard.failure = "";
  } catch (failure) {
    heard.failure =
      failure.name === "TimeoutError"
        ? `It did not answer within ${duration(PATIENCE_MS / 1000)}.`
        : failure.name === "TypeError"
          ? "It cannot be reached: the connection was refused or broken."
          : `It answers, but not with its status: ${failure.message}`;
  }
}

async function askHistory() {
  try {
    const history = await ask("api/v1/history");
    heard.samples = history.samples.map((sample) => ({
      at: timeOf(sample.at) / 1000,
      accepted: number(sample.accepted),
      committed: sample.complete ? number(sample.committed) : null,
      pending: sample.complete ? number(sample.pending) : null,
      journal: number(sample.journal_used_bytes),
      syncs: number(sample.journal_syncs),
      syncSeconds: seconds(sample.journal_sync_time),
    }));
  } catch {
    // The status fails with it and says why; lines without an end would say nothing true.
    heard.samples = [];
  }
}

async function askQuarantine() {
  // The daemon would try it in vain, and take a thread for that.
  if (heard.status?.database.failure) {
    heard.quarantine = {failure: "It cannot be read while the database is away."};
    return;
  }
  try {
    const page = await ask(`api/v1/quarantine?page_size=${QUARANTINE_SHOWN}`);
    heard.quarantine = {events: page.events, more: page.next_page_token !== ""};
  } catch (failure) {
    heard.quarantine = {failure: `It could not be read: ${failure.message}.`};
  }
}

// Asks, shows, waits, and so on; never two questions of a kind at a time.
async function repeat(question, every) {
  for (;;) {
    await question();
    show();
    await new Promise((resume) => setTimeout(resume, every));
  }
}

repeat(askStatus, STATUS_EVERY_MS);
repeat(askHistory, HISTORY_EVERY_MS);
repeat(askQuarantine, QUARANTINE_EVERY_MS);
// What was heard grows old also while nothing is heard.
setInterval(() => {
  if (isLost()) showLoss();
}, 1000);
document.addEventListener("visibilitychange", show);
