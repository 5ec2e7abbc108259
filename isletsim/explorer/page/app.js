// The explorer's page: it starts here, and wires the parts together.

import { $, alarm, fill, make, say } from "./dom.js";
import { ask, choose, commit, copy, counts, decode, encode, on, page, solve, travel } from "./state.js";
import { redrawAll } from "./plot.js";
import * as controls from "./controls.js";
import * as years from "./years.js";
import * as day from "./day.js";
import * as why from "./why.js";
import * as lessons from "./lessons.js";

const TABS = ["years", "day", "why", "lessons"];

export function show(tab) {
  page.tab = TABS.includes(tab) ? tab : "years";
  for (const each of TABS) {
    const chosen = each === page.tab;
    $(`view-${each}`).hidden = !chosen;
    $(`tab-${each}`).setAttribute("aria-selected", String(chosen));
    $(`tab-${each}`).tabIndex = chosen ? 0 : -1;
  }
  document.body.dataset.tab = page.tab;
  draw();
}

function draw() {
  if (!page.run) return;
  if (page.tab === "years") years.draw();
  if (page.tab === "day") day.refresh();
  if (page.tab === "why") why.draw();
}

// --- events ---

on("run", () => { controls.draw(); draw(); $("status").className = "status"; });
on("drawn", draw);
on("good", () => {
  alarm(null);
  requestAnimationFrame(() => { counts.redrawn = counts.drawn; counts.shown = performance.now(); });
  $("status").textContent = timing();
});
on("slow", () => {
  if (!page.run) $("waiting").textContent = "The model is compiled for this computer. The first time this takes half a minute, later a second.";
  $("status").className = "status working"; $("status").textContent = "Preparing this combination once; it is kept for next time…"; });
on("banding", () => { $("status").className = "status working"; $("status").textContent = "Simulating virtual patients…"; });
on("rest", () => { $("status").className = "status"; if (page.run) $("status").textContent = timing(); });
on("problem", (problem) => { alarm(problem); $("status").className = "status"; $("status").textContent = ""; });
on("history", ({ undo, redo }) => { $("undo").disabled = !undo; $("redo").disabled = !redo; });

const timing = () => (!page.run.solved ? "" : page.run.seconds > 1 ? `prepared and solved in ${page.run.seconds.toFixed(1)} s` : `solved in ${Math.round(1000 * page.run.seconds)} ms`);

// --- tools ---

function theme(value) {
  document.documentElement.dataset.theme = value;
  try { localStorage.setItem("isletsim-theme", value); } catch { /* a private window keeps nothing */ }
  redrawAll();
  draw();
}

async function download(what) {
  const answer = await fetch(`/download/${what}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ choices: page.choices }) });
  if (!answer.ok) { alarm(Object.assign(new Error((await answer.json()).error))); return; }
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))[1];
  const link = make("a", { href: URL.createObjectURL(await answer.blob()), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  say(`${name} was downloaded.`);
}

function setup() {
  for (const tab of TABS) {
    $(`tab-${tab}`).addEventListener("click", () => show(tab));
    $(`tab-${tab}`).addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const open = TABS.filter((each) => !$(`tab-${each}`).hidden);
      const next = open[(open.indexOf(tab) + step + open.length) % open.length];
      show(next); $(`tab-${next}`).focus();
    });
  }
  $("undo").addEventListener("click", () => travel(true));
  $("redo").addEventListener("click", () => travel(false));
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || /^(text|number)$/.test(event.target.type || "")) return;
    if (event.key === "z" && !event.shiftKey) { event.preventDefault(); travel(true); }
    if (event.key === "y" || (event.key === "z" && event.shiftKey)) { event.preventDefault(); travel(false); }
  });
  $("pin").addEventListener("click", () => {
    page.pinned = page.pinned ? null : copy(page.run);
    $("pin").setAttribute("aria-pressed", String(Boolean(page.pinned)));
    say(page.pinned ? "These curves stay on the page. Change something to compare." : "No comparison.");
    draw();
  });
  $("share").addEventListener("click", async () => {
    const link = `${location.origin}/#${encode()}`;
    try { await navigator.clipboard.writeText(link); toast("The link was copied. It opens these choices wherever isletsim explore runs."); } catch { toast(link); }
  });
  $("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  for (const button of document.querySelectorAll("[data-download]")) button.addEventListener("click", () => { $("files").open = false; download(button.dataset.download); });
  document.addEventListener("click", (event) => { if (!$("files").contains(event.target)) $("files").open = false; });
  $("files").addEventListener("keydown", (event) => { if (event.key === "Escape") { $("files").open = false; $("files").firstElementChild.focus(); } });
  $("open").addEventListener("change", async () => {
    const [file] = $("open").files;
    $("files").open = false;
    if (!file) return;
    try {
      const { choices } = await ask("/api/open", { text: await file.text() });
      choose((known) => { for (const key of Object.keys(known)) delete known[key]; Object.assign(known, choices); });
      toast(`${file.name} is open.`);
    } catch (problem) { alarm(problem); }
    $("open").value = "";
  });
  window.addEventListener("hashchange", () => { const data = decode(location.hash.slice(1)); if (data) { page.choices = data.choices; commit(); solve(); show(data.tab); } });
}

let fading = 0;
function toast(text) {
  const box = $("toast") || document.body.appendChild(make("div", { id: "toast", role: "status" }));
  fill(box, text);
  box.className = "on";
  clearTimeout(fading);
  fading = setTimeout(() => { box.className = ""; }, 4000);
}

async function begin() {
  let kept = null;
  try { kept = localStorage.getItem("isletsim-theme"); } catch { /* a private window keeps nothing */ }
  document.documentElement.dataset.theme = kept || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  page.start = await ask("/api/start", {});
  const shared = decode(location.hash.slice(1));
  page.choices = shared ? shared.choices : page.start.choices;
  $("notice").textContent = page.start.notice;
  $("version").textContent = `isletsim ${page.start.version}`;
  $("tab-day").hidden = !page.start.controls.days.length;
  $("tab-lessons").hidden = !page.start.lessons.length;
  setup();
  controls.setup();
  day.setup();
  lessons.list(show);
  show(shared ? shared.tab : "years");
  commit();
  solve();
}

begin().catch((problem) => alarm(problem));
