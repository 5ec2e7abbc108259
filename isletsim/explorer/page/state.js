// The state of the page: choices, their history, requests to the server. One request is under way at most, and the
// latest value wins.

const listeners = {};
export const on = (event, act) => (listeners[event] ||= []).push(act);
export const tell = (event, data) => (listeners[event] || []).forEach((act) => act(data));

export const page = {
  start: null, // what the server says once
  choices: {}, // what is chosen now
  run: null, // the latest curves
  before: null, // curves of the same patient with nothing changed
  pinned: null, // curves to compare with
  band: null,
  tab: "years",
};

const TAB = Math.random().toString(36).slice(2);
const GAPS = [250, 500]; // least time after the first, and after every later solve while a slider is dragged, in ms
const QUIET = 60; // a pause of the hand after which the latest value is solved at once

export async function ask(path, data) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) });
  const found = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(found.error), { faults: found.faults || [] });
  return found;
}

// --- choices and their history ---

const past = [], future = [];
export const copy = (value) => JSON.parse(JSON.stringify(value));
let committed = "";

export function commit() {
  const now = JSON.stringify(page.choices);
  if (now === committed) return;
  if (committed) past.push(committed);
  if (past.length > 200) past.shift();
  future.length = 0;
  committed = now;
  window.history.replaceState(null, "", `#${encode()}`);
  tell("history", { undo: past.length, redo: future.length });
}

export function travel(back) {
  const [from, to] = back ? [past, future] : [future, past];
  if (!from.length) return;
  to.push(committed);
  committed = from.pop();
  page.choices = JSON.parse(committed);
  window.history.replaceState(null, "", `#${encode()}`);
  tell("history", { undo: past.length, redo: future.length });
  tell("choices");
  solve();
}

export function choose(change, { keep = true } = {}) {
  change(page.choices);
  tell("choices");
  if (keep) commit();
  solve();
}

export const encode = () =>
  btoa(unescape(encodeURIComponent(JSON.stringify({ choices: page.choices, tab: page.tab })))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

export function decode(text) {
  try {
    const data = JSON.parse(decodeURIComponent(escape(atob(text.replace(/-/g, "+").replace(/_/g, "/")))));
    return data && typeof data === "object" && data.choices ? data : null;
  } catch { return null; }
}

// --- solving ---

let number = 0, busy = false, wanted = false, started = 0, moved = 0, timer = 0, during = 0;
export const counts = { solves: 0, last: 0 };
window.isletsim = { counts, page };

export function solve() {
  const now = performance.now(), pause = now - moved;
  moved = now;
  wanted = true;
  if (pause > QUIET) during = 0; // a new movement of the hand
  if (!busy && pause > QUIET) next();
  else plan();
}

// The next solve: when the hand pauses, or at once where the last one is long enough ago.
function plan() {
  clearTimeout(timer);
  const now = performance.now(), due = started + GAPS[during > 1 ? 1 : 0];
  timer = setTimeout(next, now >= due ? 0 : Math.max(0, moved + QUIET - now));
}

async function next() {
  clearTimeout(timer);
  if (busy || !wanted) return;
  busy = true; wanted = false;
  started = performance.now(); during += 1;
  const asked = JSON.stringify(page.choices), origin = moved;
  const slow = setTimeout(() => tell("slow"), 700);
  try {
    counts.solves += 1;
    const run = await ask("/api/run", { choices: JSON.parse(asked), tab: TAB, number: ++number });
    if (!run.stale) {
      page.run = run; page.band = null;
      tell("run", run);
      counts.last = performance.now() - origin;
      counts.drawn = asked;
      tell("good");
      after(asked);
    }
  } catch (problem) {
    counts.failed = asked;
    tell("problem", problem);
  } finally {
    clearTimeout(slow);
    busy = false;
    if (wanted) plan();
    else tell("rest");
  }
}

export const settled = () => !busy && !wanted;

// What is asked for when the hand rests: the unchanged patient, and the band of people.
let rest = 0;
function after(asked) {
  clearTimeout(rest);
  rest = setTimeout(async () => {
    if (!settled() || JSON.stringify(page.choices) !== asked) return;
    const { sliders, therapies, again, cohort, ...plain } = page.choices;
    const key = JSON.stringify(plain);
    const changed = Object.keys(sliders || {}).length > 0;
    try {
      if (!changed) page.before = { key, run: page.run };
      else if (page.before?.key !== key) {
        page.before = { key, run: await ask("/api/run", { choices: plain, tab: `${TAB}-before`, number: ++number }) };
        tell("drawn");
      }
      if (cohort && settled() && JSON.stringify(page.choices) === asked) {
        tell("banding");
        const band = await ask("/api/cohort", { choices: page.choices, tab: TAB, number: ++number });
        if (!band.stale && JSON.stringify(page.choices) === asked) { page.band = band; tell("drawn"); tell("rest"); }
      }
    } catch (problem) { tell("problem", problem); }
  }, 350);
}
