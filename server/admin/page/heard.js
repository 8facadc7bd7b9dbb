// What the page has heard from the daemon, and what follows from it.

// An answer older than this is no answer: the machine slept, or the page was put aside.
const FRESH_MS = 7000;
// How long "now" is: rates are means over that.
const RECENT_S = 7;

const heard = {
  status: null,
  at: null, // When the last status came, by this machine's clock.
  failure: "", // Why there is none now; empty if there is.
  recent: [], // What counts up, from the statuses of the last seconds, oldest first.
  samples: [],
  quarantine: null, // {events, more} or {failure}; null while it has not been asked.
};
const openedAt = Date.now();

const isLost = () =>
  heard.failure !== "" || (heard.at !== null && Date.now() - heard.at > FRESH_MS);

// What of a status counts, in the form of a sample.
function momentOf(status) {
  const {books} = status;
  return {
    at: timeOf(status.answered_at) / 1000,
    accepted: number(books.accepted),
    committed: books.complete ? number(books.committed) : null,
    pending: books.complete ? number(books.pending) : null,
    journal: number(status.journal.used_bytes),
  };
}

// The mean between two samples, a second; null if it is not known.
function rateBetween(from, to, value) {
  if (!from || !to || to.at <= from.at || value(from) === null || value(to) === null) return null;
  return Math.max(0, (value(to) - value(from)) / (to.at - from.at));
}

// Now: over the last seconds, or, at the first look, between the last two samples of the daemon.
function rateNow(value) {
  const of = heard.recent.length > 1 ? heard.recent : heard.samples.slice(-2);
  return rateBetween(of[0], of.at(-1), value);
}

const acceptedRate = () => rateNow((sample) => sample.accepted);
const committedRate = () => rateNow((sample) => sample.committed);

// The mean time of a sync within the last minute, in seconds; null if there was none.
function syncTime() {
  const last = heard.samples.at(-1);
  const first = heard.samples.find((sample) => last.at - sample.at <= 62);
  const syncs = first ? last.syncs - first.syncs : 0;
  return syncs > 0 ? (last.syncSeconds - first.syncSeconds) / syncs : null;
}

// How long the journal has room for what comes in, in seconds; null if it does not fill.
function timeToFull(journal) {
  const last = heard.samples.at(-1);
  const first = heard.samples.find((sample) => last.at - sample.at <= 5 * 60);
  const growth = rateBetween(first, last, (sample) => sample.journal);
  if (!growth) return null;
  return Math.max(0, number(journal.limit_bytes) - number(journal.used_bytes)) / growth;
}

const isTaking = (status) => !status.draining && !status.journal.full && !status.journal.failure;
