// The lines of the last quarter of an hour.

const HISTORY_SPAN_S = 15 * 60;
const HISTORY_SPAN_MIN_S = 60;

// Points [time, value]; a value of null is a gap.
function ratesOf(value, now) {
  const rates = heard.samples
    .slice(1)
    .map((sample, i) => [sample.at, rateBetween(heard.samples[i], sample, value)]);
  return [...rates, [now.at, rateNow(value)]];
}

// A greatest value that is easy to read: 1, 2 or 5 times a power of ten, or of 1,024.
function ceilingOf(value, base) {
  let unit = 1;
  while (base === 1024 && unit * 1024 <= value) unit *= 1024;
  let step = unit;
  for (let i = 0; step < value; i += 1) step *= [2, 2.5, 2][i % 3];
  return step;
}

function pathOf(points, from, span, top, isArea) {
  const parts = [];
  let run = [];
  const end = () => {
    if (run.length > 1) {
      const line = run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
      parts.push(
        isArea ? `M${run[0][0].toFixed(1)} 80L${line}L${run.at(-1)[0].toFixed(1)} 80Z` : `M${line}`,
      );
    }
    run = [];
  };
  for (const [at, value] of points) {
    if (value === null) end();
    else run.push([(300 * (at - from)) / span, 80 - (78 * value) / top]);
  }
  end();
  return parts.join("");
}

function draw(id, now, {area, line, text, base, summary}) {
  const figure = byId(id);
  const oldest = Math.max(heard.samples[0].at, now.at - HISTORY_SPAN_S);
  const span = Math.max(HISTORY_SPAN_MIN_S, now.at - oldest);
  const values = [...area, ...line].map(([, value]) => value ?? 0);
  const top = ceilingOf(Math.max(1, ...values), base);
  const paths = [
    [area, "area"],
    [line, "line"],
  ].map(([points, className]) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", className);
    path.setAttribute("d", pathOf(points, now.at - span, span, top, className === "area"));
    return path;
  });
  const svg = figure.querySelector("svg");
  svg.replaceChildren(...paths);
  svg.setAttribute("aria-label", summary);
  say(figure.querySelector(".value"), text);
  say(figure.querySelector(".from"), `${duration(span)} ago`);
  say(figure.querySelector(".top"), base === 1024 ? bytes(top) : wholes.format(top));
}

function showLines() {
  if (heard.samples.length === 0) return;
  const now = momentOf(heard.status);
  const known = (value) => (value === null ? "?" : rounded(value));
  const events = `${known(acceptedRate())} in, ${known(committedRate())} out`;
  draw("line-events", now, {
    base: 1000,
    text: events,
    summary: `Events per second: ${events}`,
    area: ratesOf((sample) => sample.committed, now),
    line: ratesOf((sample) => sample.accepted, now),
  });
  const moments = [...heard.samples, now];
  const pending = moments.map((sample) => [sample.at, sample.pending]);
  draw("line-pending", now, {
    base: 1000,
    text: known(now.pending),
    area: pending,
    line: pending,
    summary: `Events pending: ${known(now.pending)}`,
  });
  const journal = moments.map((sample) => [sample.at, sample.journal]);
  draw("line-journal", now, {
    base: 1024,
    text: bytes(now.journal),
    area: journal,
    line: journal,
    summary: `Journal in use: ${bytes(now.journal)}`,
  });
}
