// The years: linked panels, a legend that names the arms, values under the pointer, caveats.

import { $, fill, make, say, segments } from "./dom.js";
import { on, page } from "./state.js";
import { Plot, dash, look, pretty } from "./plot.js";

const shown = {}; // which quantity a panel shows, by the panel's name
let watched = []; // quantities that a lesson points at

// Show these quantities where a panel has them, and mark their panels.
export function watch(quantities) {
  watched = quantities;
  for (const panel of page.run?.settings.panels || []) for (const each of panel.shows) if (quantities.includes(each.show)) shown[panel.name] = each.show;
  draw();
}
const panels = new Map();

export const label = (arm) => (arm.control ? (arm.name === "usual" ? "usual care" : arm.label) : arm.label);

// Every curve of one quantity: arms, then what they are compared with.
function lines(show) {
  const c = look(), found = [];
  const add = (run, style) => {
    const variable = run?.variables[show];
    if (!variable) return;
    run.arms.forEach((arm, rank) => { const line = style(arm, rank); if (line) found.push({ ...line, x: variable.time || run.time, values: variable.arms[rank] }); });
  };
  add(page.pinned, (arm, rank) => ({ label: `pinned: ${label(arm)}`, colour: c.pin, dash: rank ? [6, 3] : [2, 3], width: 1.5 }));
  if (page.before && page.before.run !== page.run && unchanged()) add(page.before.run, (arm) => arm.control && { label: "before the sliders moved", colour: c.pale, dash: [1.5, 3], width: 1.6 });
  const band = page.band?.variables[show];
  add(page.run, (arm, rank) => {
    const ends = band?.arms[rank];
    return { label: label(arm), colour: c.arms[rank % c.arms.length], dash: dash(rank), width: 2.2, arm: true, band: ends && { low: ends[0], high: ends[2], x: page.run.variables[show].time || page.run.time } };
  });
  return found;
}

const unchanged = () => Object.keys(page.choices.sliders || {}).length > 0 && page.before.key === JSON.stringify((({ sliders, therapies, again, cohort, ...plain }) => plain)(page.choices));

// uPlot wants one time axis: curves of other times (virtual tests, other runs) are put on the union of all.
function aligned(curves) {
  const first = curves[0]?.x || [];
  if (curves.every((each) => each.x === first || (each.x.length === first.length && each.x[each.x.length - 1] === first[first.length - 1]))) return { x: first, lines: curves };
  const x = [...new Set(curves.flatMap((each) => each.x))].sort((a, b) => a - b), at = new Map(x.map((each, i) => [each, i]));
  return { x, lines: curves.map((each) => { const values = new Array(x.length).fill(null); each.x.forEach((t, i) => { values[at.get(t)] = each.values[i]; }); return { ...each, values }; }) };
}

export function draw() {
  const { run } = page;
  if (!run) return;
  const names = run.settings.panels.map((each) => each.name).join();
  if ($("panels").dataset.names !== names) {
    $("panels").dataset.names = names;
    panels.forEach((each) => each.plot.remove()); panels.clear();
    fill($("panels"), run.settings.panels.map(build));
  }
  run.settings.panels.forEach((panel) => { drawPanel(panel); panels.get(panel.name).element.classList.toggle("watched", panel.shows.some((each) => watched.includes(each.show))); });
  legend(run);
}

function build(panel) {
  const holder = make("div", { class: "plot", role: "img" });
  const reading = make("div", { class: "reading", "aria-hidden": "true" });
  const buttons = make("div", { class: "segments small", role: "group", "aria-label": `${panel.title}: what is shown` });
  const title = make("h3", {}, panel.title), unit = make("span", { class: "unit" });
  const element = make("figure", { class: "panel", "data-panel": panel.name }, make("figcaption", {}, make("div", { class: "head" }, make("div", {}, title, unit), reading), panel.shows.length > 1 ? buttons : null), holder);
  const plot = new Plot(holder, { onCursor: (index) => read(panels.get(panel.name), index) });
  plot.restyle = () => drawPanel(panel);
  panels.set(panel.name, { plot, reading, buttons, unit, holder, element });
  return element;
}

function drawPanel(panel) {
  const parts = panels.get(panel.name);
  const current = panel.shows.find((each) => each.show === shown[panel.name]) || panel.shows[0];
  if (panel.shows.length > 1) segments(parts.buttons, panel.shows.map((each) => ({ value: each.show, label: each.label })), current.show, (value) => { shown[panel.name] = value; drawPanel(panel); });
  parts.unit.textContent = current.unit ? ` ${current.unit}` : "";
  const curves = lines(current.show), { x, lines: drawn } = aligned(curves);
  const { run } = page, sparse = Boolean(run.variables[current.show]?.time), c = look();
  parts.plot.draw({
    x, lines: drawn.map((line) => ({ ...line, points: sparse && line.arm })), thresholds: current.thresholds,
    ticks: run.arms.map((arm, rank) => ({ times: arm.doses.map((day) => day / 365.25), colour: c.arms[rank % c.arms.length] })).filter((each) => each.times.length),
    summary: `${panel.title}${current.label ? `, ${current.label}` : ""}, over ${pretty(run.until)} years. ${summary(curves, current.unit)}`,
  });
  parts.current = current; parts.drawn = drawn; parts.x = x;
  read(parts, null);
}

const ends = (values) => { const there = values.filter((each) => each !== null); return [there[0], there[there.length - 1]]; };
const summary = (curves, unit) => curves.map((line) => { const [a, b] = ends(line.values); return `${line.label}: from ${pretty(a)} to ${pretty(b)} ${unit}`; }).join("; ");

function read(parts, index) {
  if (!parts || !parts.drawn) return;
  const value = (line) => { if (index === null || index === undefined) return ends(line.values)[1]; for (let i = index; i >= 0; i -= 1) if (line.values[i] !== null) return line.values[i]; return null; };
  fill(parts.reading, parts.drawn.filter((line) => line.arm).map((line) => make("span", { style: { color: line.colour } }, pretty(value(line)))));
}

export function legend(run, reference) {
  const c = look();
  const item = (text, colour, pattern, note) => make("span", { class: "key" }, make("span", { class: "stroke", style: { borderTopColor: colour, borderTopStyle: pattern } }), text, note);
  const parts = run.arms.map((arm, rank) => item(label(arm), c.arms[rank % c.arms.length], rank ? "dashed" : "solid"));
  if (reference) parts.push(item(reference, c.pale, "dotted"));
  if (page.tab === "years" && page.before && page.before.run !== page.run && unchanged()) parts.push(item("before the sliders moved", c.pale, "dotted"));
  if (page.tab === "years" && page.pinned) parts.push(item("pinned", c.pin, "dotted"));
  if (page.tab === "years" && page.band) parts.push(make("span", { class: "key" }, make("span", { class: "swatch" }), `5 to 95 % of ${page.band.size} people`));
  fill($("legend"), parts);
}

function caveats(run) {
  const list = (items) => make("ul", {}, items.map((each) => make("li", {}, each.text)));
  const high = run.caveats.filter((each) => each.severity === "high"), more = run.caveats.filter((each) => each.severity !== "high");
  fill($("caveats"), high.length || more.length || run.warnings.length ? make("h2", {}, "What to know about what is shown") : null,
    run.warnings.length ? make("ul", { class: "warnings" }, run.warnings.map((each) => make("li", {}, each))) : null,
    high.length ? list(high) : null,
    more.length ? make("details", {}, make("summary", {}, `${more.length} more`), list(more)) : null);
}

let telling = 0;
on("run", (run) => {
  caveats(run);
  clearTimeout(telling);
  telling = setTimeout(() => {
    const first = run.settings.panels[0], curves = lines(first.shows[0].show);
    say(`Updated. ${first.title} after ${pretty(run.until)} years: ${curves.filter((each) => each.arm).map((line) => `${line.label} ${pretty(ends(line.values)[1])} ${first.shows[0].unit}`).join(", ")}.`);
  }, 900);
});

export function stepMoment() { return page.run ? page.run.until : 0; }
