// The status page's script, first part: what the daemon's words and numbers are called, and how
// they get into the document. All text goes through textContent: nothing that a daemon or a
// database says is ever taken for markup. embed.cmake puts the parts together, in its order.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const GRADES = {GRADE_GOOD: "good", GRADE_WARNING: "warning", GRADE_BAD: "bad"};
const EFFECTS = {
  PROBLEM_EFFECT_REFUSING: ["bad", "New events are refused"],
  PROBLEM_EFFECT_ENDANGERING: ["warning", "Events may be lost"],
  PROBLEM_EFFECT_DELAYING: ["warning", "Events wait"],
  PROBLEM_EFFECT_WARNING: ["warning", "Needs a look"],
};
const LANE_STATES = {
  LANE_STATE_IDLE: ["good", "idle"],
  LANE_STATE_BUSY: ["good", "writing"],
  LANE_STATE_RETRYING: ["warning", "retrying"],
  LANE_STATE_STOPPED: ["warning", "stopped"],
  LANE_STATE_FENCED: ["warning", "fenced"],
};
const BREAKER_STATES = {
  CIRCUIT_STATE_CLOSED: "closed",
  CIRCUIT_STATE_OPEN: "open",
  CIRCUIT_STATE_HALF_OPEN: "half open",
};

const wholes = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
const tenths = new Intl.NumberFormat("en", {minimumFractionDigits: 1, maximumFractionDigits: 1});
const clock = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const dayAndClock = new Intl.DateTimeFormat("en", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

// Whole numbers as they are, small ones with a decimal if they have one.
const rounded = (value) =>
  (value < 10 && value % 1 >= 0.05 && value % 1 < 0.95 ? tenths : wholes).format(value);

function counted(count, one, many = `${one}s`) {
  return `${wholes.format(count)} ${count === 1 ? one : many}`;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${rounded(count)} ${units[unit]}`;
}

// The greatest two units: "340 ms", "12 s", "3 min 20 s", "2 h 5 min", "4 d 3 h".
function duration(seconds) {
  if (seconds < 1) return `${rounded(seconds * 1000)} ms`;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  const pair = (big, bigUnit, small, smallUnit) =>
    small === 0
      ? `${wholes.format(big)} ${bigUnit}`
      : `${wholes.format(big)} ${bigUnit} ${small} ${smallUnit}`;
  if (whole < 3600) return pair(Math.floor(whole / 60), "min", whole % 60, "s");
  if (whole < 86400)
    return pair(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return pair(Math.floor(whole / 86400), "d", Math.floor((whole % 86400) / 3600), "h");
}

// The greatest unit alone, where there is little room: "12 min".
const shortDuration = (time) => duration(time).split(" ").slice(0, 2).join(" ");

// Protobuf's JSON: 64-bit numbers are strings, durations "1.5s".
const number = (text) => Number(text ?? 0);
const grouped = (text) => wholes.format(number(text));
const seconds = (text) => Number.parseFloat(text ?? "0");
const timeOf = (text) => new Date(text);
const moment = (text) => dayAndClock.format(timeOf(text));
const gradeOf = (name) => GRADES[name] ?? "unknown";

const byId = (id) => document.getElementById(id);

// Only what changes is written, so that a screen reader hears no news where there are none.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function mark(element, grade) {
  if (element.dataset.grade !== grade) element.dataset.grade = grade;
}

function made(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// Makes the children of `parent` anew if they would say something else.
function fill(parent, children) {
  const whole = made("div");
  whole.append(...children);
  if (parent.innerHTML !== whole.innerHTML) parent.replaceChildren(...whole.childNodes);
}

function facts(list, pairs) {
  fill(
    list,
    pairs.flatMap(([term, text]) => [made("dt", "", term), made("dd", "", text)]),
  );
}

function question(element, grade, answer, because) {
  mark(element, grade);
  say(element.querySelector(".answer"), answer);
  say(element.querySelector(".because"), because);
}

function station(id, grade, state, figure, detail) {
  const element = byId(id);
  mark(element, grade);
  say(element.querySelector(".state"), state);
  say(element.querySelector(".figure"), figure);
  say(element.querySelector(".detail"), detail);
}

// A dot in the tab, for those who have many.
function paintIcon(grade) {
  const colours = {good: "#2b9a55", warning: "#d98c00", bad: "#c62a24", unknown: "#7a848d"};
  const dot = `<circle cx="8" cy="8" r="7" fill="${colours[grade]}"/>`;
  const icon = `<svg xmlns="${SVG}" viewBox="0 0 16 16">${dot}</svg>`;
  const link = `data:image/svg+xml,${encodeURIComponent(icon)}`;
  if (byId("icon").getAttribute("href") !== link) byId("icon").setAttribute("href", link);
}
