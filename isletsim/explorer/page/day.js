// A day: virtual tests at any moment of the simulated years, and what brings glucose in and takes it out.

import { $, fill, make, segments } from "./dom.js";
import { ask, on, page } from "./state.js";
import { Plot, area, dash, look, pretty, signed, stacked } from "./plot.js";
import { label, legend } from "./years.js";

export const day = { test: "", years: 0, view: null, arm: 0 };
let busy = false, wanted = false, asked = "";
const plots = new Map();

export function setup() {
  $("moment").addEventListener("input", () => { day.years = (Number($("moment").value) / 100) * page.run.until; refresh(); });
  $("reference").addEventListener("change", () => refresh());
}

export function refresh() {
  if (page.tab !== "day" || !page.run) return;
  const tests = page.start.controls.days;
  segments($("tests"), tests.map((each) => ({ value: each.name, label: each.label })), day.test, (value) => { day.test = value; refresh(); });
  $("test-about").textContent = tests.find((each) => each.name === day.test)?.about || "";
  const years = Math.min(day.years, page.run.until);
  $("moment").value = Math.round((100 * years) / page.run.until);
  $("moment-label").textContent = years < 0.02 ? "On day 0" : `After ${pretty(years)} years`;
  wanted = true;
  next();
}

async function next() {
  if (busy || !wanted) return;
  wanted = false;
  const question = { choices: page.choices, test: day.test, years: Math.min(day.years, page.run.until), reference: $("reference").checked };
  const key = JSON.stringify(question);
  if (key === asked && day.view) return draw();
  busy = true;
  $("view-day").setAttribute("aria-busy", "true");
  const slow = setTimeout(() => { $("day-status").className = "status working"; $("day-status").textContent = "Simulating the day…"; }, 400);
  try {
    day.view = await ask("/api/day", question);
    asked = key;
    draw();
  } catch (problem) { day.view = null; asked = ""; fill($("day-panels"), make("p", { class: "alarm" }, problem.message)); plots.clear(); }
  busy = false;
  clearTimeout(slow);
  $("day-status").className = "status"; $("day-status").textContent = "";
  $("view-day").removeAttribute("aria-busy");
  next();
}

const hours = (minutes, start) => { const [h, m] = start.split(":").map(Number); return minutes.map((each) => h + m / 60 + each / 60); };

export function draw() {
  const { view } = day;
  if (!view || page.tab !== "day") return;
  const c = look(), ordinary = view.minutes[view.minutes.length - 1] > 1000;
  const x = ordinary ? hours(view.minutes, view.start) : view.minutes;
  const names = Object.keys(view.arms[0].curves);
  if ($("day-panels").dataset.names !== `${names} ${ordinary}`) {
    $("day-panels").dataset.names = `${names} ${ordinary}`;
    plots.forEach((each) => each.remove()); plots.clear();
    fill($("day-panels"), names.map((name) => panel(name, view.arms[0].curves[name])));
  }
  for (const name of names) {
    const lines = [];
    if (view.reference?.curves[name]) lines.push({ label: view.reference.label, values: view.reference.curves[name].values, colour: c.pale, dash: [1.5, 3], width: 1.8 });
    view.arms.forEach((arm, rank) => lines.push({ label: label(page.run.arms[rank] || arm), values: arm.curves[name].values, colour: c.arms[rank % c.arms.length], dash: dash(rank), width: 2.2 }));
    const plot = plots.get(name);
    plot.time = ordinary ? "hours" : "minutes";
    plot.title.textContent = titled(view.arms[0].curves[name].about || name);
    plot.unit.textContent = ` ${view.arms[0].curves[name].unit}`;
    plot.restyle = draw;
    plot.draw({ x, lines, summary: `${view.title}, ${name}. ${lines.map((line) => `${line.label}: highest ${pretty(Math.max(...line.values))}, last ${pretty(line.values[line.values.length - 1])}`).join("; ")}` });
  }
  legend(page.run, view.reference?.label);
  reports(view);
  balances(view, x, ordinary);
}

const titled = (text) => text[0].toUpperCase() + text.slice(1);

function panel(name, curve) {
  const holder = make("div", { class: "plot", role: "img" }), title = make("h3", {}, titled(curve.about || name)), unit = make("span", { class: "unit" });
  const ordinary = day.view.minutes[day.view.minutes.length - 1] > 1000;
  const plot = new Plot(holder, { linked: false, height: 220, time: ordinary ? "hours" : "minutes" });
  plot.title = title; plot.unit = unit;
  plots.set(name, plot);
  return make("figure", { class: "panel", "data-day": name }, make("figcaption", {}, title, unit), holder);
}

function reports(view) {
  const { reports: found } = view.arms[0];
  if (!found.length) { fill($("day-reports")); return; }
  const arms = [...view.arms.map((arm, rank) => ({ label: label(page.run.arms[rank] || arm), reports: arm.reports })), ...(view.reference ? [{ label: view.reference.label, reports: view.reference.reports }] : [])];
  fill($("day-reports"), make("table", { class: "numbers" }, make("caption", {}, "Numbers of the test"),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Number"), arms.map((arm) => make("th", { scope: "col" }, arm.label)), make("th", { scope: "col" }, "Unit"))),
    make("tbody", {}, found.map((report, i) => make("tr", {}, make("th", { scope: "row" }, titled(report.about || report.name)), arms.map((arm) => make("td", {}, pretty(arm.reports[i]?.value))), make("td", {}, report.unit))))));
}

const holders = new Map();
function balances(view, x, ordinary) {
  const offered = page.start.controls.balances.filter((each) => each.per === "day");
  fill($("day-balances"), offered.map((balance) => {
    const arms = view.arms.map((arm) => arm.terms[balance.of]).filter((terms) => terms?.length);
    if (!arms.length) return null;
    const key = `${balance.of}`;
    if (!holders.has(key)) holders.set(key, areaFigure(balance));
    const figure = holders.get(key);
    figure.draw(arms.map((terms) => terms.map((term) => ({ ...term }))), x, page.run.arms.map((arm) => label(arm)), ordinary ? "hours" : "minutes");
    return figure.element;
  }));
}

// A figure of stacked areas with its own legend and a choice of arm.
export function areaFigure(balance) {
  const holder = make("div", { class: "plot", role: "img" }), list = make("ul", { class: "terms" }), arms = make("div", { class: "segments small", role: "group", "aria-label": "Arm" });
  const element = make("figure", { class: "panel wide" }, make("figcaption", {}, make("div", { class: "row between" }, make("div", {}, make("h3", {}, balance.title), make("span", { class: "unit" }, ` ${balance.unit}`)), arms), make("p", { class: "hint" }, balance.about)), make("div", { class: "arearow" }, make("div", {}, holder), list));
  let chosen = 0, last = null;
  const plot = new Plot(holder, { linked: false, height: 280, onCursor: (index) => read(index) });
  let terms = [];
  const read = (index) => { for (const [i, item] of [...list.children].entries()) { const values = terms[i]?.values; if (values) item.querySelector("output").textContent = signed(values[index ?? values.length - 1]); } };
  const draw = (every, x, labels, time) => {
    last = [every, x, labels, time];
    plot.time = time;
    chosen = Math.min(chosen, every.length - 1);
    segments(arms, every.map((_, i) => ({ value: i, label: labels[i] || `arm ${i + 1}` })), chosen, (value) => { chosen = Number(value); draw(...last); });
    arms.hidden = every.length < 2;
    terms = every[chosen];
    const peak = Math.max(...terms.flatMap((term) => term.values.map(Math.abs)));
    terms = terms.filter((term) => Math.max(...term.values.map(Math.abs)) > 2e-3 * peak);
    const { stacks, net, low, high } = stacked(terms), colours = terms.map((_, i) => area(i));
    plot.draw({ x, lines: [{ values: net, colour: look().ink, width: 2 }], areas: { stacks, colours, low, high }, summary: `${balance.title}. ${terms.map((term) => `${term.label}: ${pretty(term.values[term.values.length - 1])} at the end`).join("; ")}` });
    fill(list, terms.map((term, i) => make("li", {}, make("span", { class: "swatch", style: { background: colours[i] } }), make("span", {}, term.label), make("output", {}))));
    read(null);
  };
  plot.restyle = () => last && draw(...last);
  return { element, draw };
}

on("run", () => refresh());
