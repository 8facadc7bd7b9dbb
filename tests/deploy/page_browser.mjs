// A real browser before the status page, told what to do by page_test.py: a JSON object on each
// line of the input is a command, and each has one line as its answer.
//
//   node page_browser.mjs TOOLS CHROMIUM WORK      TOOLS has node_modules/, WORK is an empty folder
//
//   {"do": "open", "view": NAME, "url": URL, "width": W, "height": H, "scheme": "light" | "dark"}
//   {"do": "look", "view": NAME, "shot": FILE}     what the page shows, and a picture of all of it
//   {"do": "tab", "view": NAME}                    what the Tab key reaches, in its order
//   {"do": "heard", "view": NAME}                  requests, console errors, faults since last time

import {mkdirSync} from "node:fs";
import {join, resolve} from "node:path";
import {createInterface} from "node:readline";
import {pathToFileURL} from "node:url";

const [tools, executablePath, work] = process.argv.slice(2);
const playwright = await import(
  pathToFileURL(join(resolve(tools), "node_modules/playwright-core/index.mjs"))
);

const views = new Map();

// Each view is a browser of its own, with nothing of anybody else's in it.
async function open({view, url, width, height, scheme}) {
  const folder = join(work, view);
  mkdirSync(folder);
  const browser = await playwright.chromium.launchPersistentContext(folder, {
    executablePath,
    headless: true,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    viewport: {width, height},
    colorScheme: scheme,
    locale: "en-GB",
  });
  const heard = {requests: [], console: [], faults: []};
  browser.on("request", (request) => heard.requests.push(request.url()));
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) heard.console.push(message.text());
  });
  page.on("pageerror", (fault) => heard.faults.push(String(fault)));
  views.set(view, {browser, page, heard});
  await page.goto(url);
  return {};
}

function read() {
  const text = (node) => node?.innerText.trim() ?? "";
  const all = (selector) => [...document.querySelectorAll(selector)];
  const question = (id) => {
    const node = document.getElementById(id);
    return {
      grade: node.dataset.grade,
      answer: text(node.querySelector(".answer")),
      because: text(node.querySelector(".because")),
    };
  };
  const verdict = document.getElementById("verdict");
  return {
    title: document.title,
    grade: verdict.dataset.grade,
    headline: text(document.getElementById("headline")),
    safe: question("safe"),
    flows: question("flows"),
    problems: all("#problems:not([hidden]) li").map((item) => ({
      grade: item.dataset.grade,
      cause: text(item.querySelector(".cause")),
      remedy: text(item.querySelector(".remedy")),
    })),
    stations: Object.fromEntries(
      all(".stations li").map((item) => [
        item.id,
        {
          grade: item.dataset.grade,
          state: text(item.querySelector(".state")),
          figure: text(item.querySelector(".figure")),
          detail: text(item.querySelector(".detail")),
        },
      ]),
    ),
    books: Object.fromEntries(all("[id^=books-]").map((cell) => [cell.id.slice(6), text(cell)])),
    lines: all(".lines svg").map((svg) => ({
      label: svg.getAttribute("aria-label"),
      path: svg.querySelector(".line")?.getAttribute("d") ?? "",
    })),
    quarantine: text(document.getElementById("quarantine-note")),
    quarantined: all("#quarantine-rows li").map(text),
    stale: document.body.classList.contains("lost"),
    headings: all("h1, h2, h3")
      .filter((node) => node.offsetParent)
      .map((node) => node.tagName),
    body: text(document.body),
    ground: getComputedStyle(document.body).backgroundColor,
    scrollWidth: document.documentElement.scrollWidth,
    clientWidth: document.documentElement.clientWidth,
  };
}

async function look({view, shot}) {
  const {page} = views.get(view);
  const seen = await page.evaluate(read);
  if (shot) await page.screenshot({path: shot, fullPage: true});
  return seen;
}

async function tab({view}) {
  const {page} = views.get(view);
  const reached = [];
  for (;;) {
    await page.keyboard.press("Tab");
    const name = await page.evaluate(() =>
      document.activeElement === document.body ? "" : document.activeElement.innerText,
    );
    if (name === "" || reached.includes(name)) return {reached};
    reached.push(name);
  }
}

async function heard({view}) {
  const {heard: since} = views.get(view);
  const answer = {
    requests: [...since.requests],
    console: [...since.console],
    faults: [...since.faults],
  };
  for (const list of Object.values(since)) list.length = 0;
  return answer;
}

const commands = {open, look, tab, heard};
for await (const line of createInterface({input: process.stdin})) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command.do](command);
  } catch (failure) {
    answer = {failure: String(failure)};
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
for (const {browser} of views.values()) await browser.close();
