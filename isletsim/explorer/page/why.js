// Why: balances over the years, and the map of files down to the equation.

import { $, fill, make, sketch } from "./dom.js";
import { ask, on, page } from "./state.js";
import { areaFigure } from "./day.js";
import { label, legend } from "./years.js";

const figures = new Map();
let drawn = "", map = null;

export function draw() {
  if (page.tab !== "why" || !page.run) return;
  const { run } = page;
  legend(run);
  fill($("why-balances"), run.balances.map((balance) => {
    const known = page.start.controls.balances.find((each) => each.of === balance.of);
    if (!figures.has(balance.of)) figures.set(balance.of, areaFigure(known));
    const figure = figures.get(balance.of);
    const arms = run.arms.map((_, arm) => balance.terms.map((term) => ({ label: term.label, values: term.arms[arm] })));
    figure.draw(arms, run.time, run.arms.map((arm) => label(arm)), "years");
    return figure.element;
  }));
  figures.forEach((each) => requestAnimationFrame(() => each.element.isConnected && each.element.querySelector(".plot").plot.restyle()));
  drawMap();
}

async function drawMap() {
  const key = JSON.stringify([page.choices.patient, page.choices.scenario, page.choices.text, (page.choices.therapies || []).map((each) => each.name)]);
  if (key === drawn) return;
  drawn = key;
  try { map = await ask("/api/map", { choices: page.choices }); } catch { drawn = ""; return; }
  if (!map.nodes.some((each) => each.name === $("file").dataset.name)) $("file").hidden = true;
  const columns = [["therapy", "Therapies"], ["years", "Years"], ["day", "The day"]];
  const WIDTH = 216, HIGH = 34, GAP = 120, STEP = 44, TOP = 40;
  const byClock = (clock) => map.nodes.filter((each) => (columns.some(([name]) => name === each.clock) ? each.clock : "years") === clock);
  const present = columns.map(([clock, title]) => ({ title, nodes: byClock(clock) })).filter((each) => each.nodes.length);
  const place = new Map();
  present.forEach((column, i) => arrange(column.nodes, map.links).forEach((node, j) => place.set(node.name, { x: i * (WIDTH + GAP) + 10, y: TOP + j * STEP, node })));
  const width = present.length * (WIDTH + GAP) - GAP + 80, height = TOP + STEP * Math.max(...present.map((each) => each.nodes.length));
  const svg = sketch("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `Map of ${map.nodes.length} files` });
  present.forEach((column, i) => svg.append(sketch("text", { x: i * (WIDTH + GAP) + 10 + WIDTH / 2, y: 20, class: "clock", "text-anchor": "middle" }, column.title)));
  for (const link of map.links) {
    const a = place.get(link.from), b = place.get(link.to);
    if (!a || !b || a === b) continue;
    const same = a.x === b.x, rightward = a.x < b.x;
    const x1 = a.x + (same || rightward ? WIDTH : 0), x2 = b.x + (same ? WIDTH : rightward ? 0 : WIDTH), y1 = a.y + HIGH / 2, y2 = b.y + HIGH / 2, bow = same ? 24 + Math.abs(y2 - y1) / 8 : (x2 - x1) / 2;
    const path = same ? `M${x1},${y1} C${x1 + bow},${y1} ${x2 + bow},${y2} ${x2},${y2}` : `M${x1},${y1} C${x1 + bow},${y1} ${x2 - bow},${y2} ${x2},${y2}`;
    svg.append(sketch("path", { d: path, class: `link ${link.how.replace(" ", "-")}`, "data-from": link.from, "data-to": link.to }));
  }
  for (const { x, y, node } of place.values()) {
    const words = `${node.title}: ${node.numbers} numbers, ${node.assumed} assumed${node.grade ? `; evidence ${node.grade}` : ""}`;
    const act = () => open(node.name);
    const light = (on) => () => { svg.classList.toggle("lit", on); svg.querySelectorAll("path.link").forEach((path) => path.classList.toggle("on", on && (path.dataset.from === node.name || path.dataset.to === node.name))); };
    svg.append(sketch("g", { class: `node ${node.clock}`, tabindex: "0", role: "button", "aria-label": words, "data-file": node.name, onclick: act, onmouseenter: light(true), onmouseleave: light(false), onfocus: light(true), onblur: light(false), onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(); } } },
      sketch("rect", { x, y, width: WIDTH, height: HIGH, rx: 8 }),
      sketch("rect", { x: x + 8, y: y + HIGH - 5, width: WIDTH - 16, height: 2, rx: 1, class: "bar" }),
      sketch("rect", { x: x + 8, y: y + HIGH - 5, width: (WIDTH - 16) * (node.numbers ? 1 - node.assumed / node.numbers : 0), height: 2, rx: 1, class: "sourced" }),
      sketch("text", { x: x + WIDTH / 2, y: y + 20, "text-anchor": "middle" }, shorten(node.title)), sketch("title", {}, words)));
  }
  fill($("map"), svg, make("p", { class: "hint keys" },
    make("span", { class: "key" }, make("span", { class: "stroke reads" }), "is read by"), make("span", { class: "key" }, make("span", { class: "stroke scales" }), "scales"), make("span", { class: "key" }, make("span", { class: "stroke adds" }), "adds to"), make("span", {}, "The bar under a name: share of numbers with a source.")));
}

const shorten = (text) => (text.length > 29 ? `${text.slice(0, 28)}…` : text);

// Files that are linked stand near each other: a few sweeps towards the mean place of the neighbours.
function arrange(nodes, links) {
  const order = new Map(nodes.map((node, i) => [node.name, i]));
  for (let sweep = 0; sweep < 8; sweep += 1) {
    const wish = nodes.map((node) => {
      const near = links.filter((link) => link.from === node.name || link.to === node.name).map((link) => order.get(link.from === node.name ? link.to : link.from)).filter((each) => each !== undefined);
      return [node.name, near.length ? (order.get(node.name) + near.reduce((a, b) => a + b, 0)) / (near.length + 1) : order.get(node.name)];
    }).sort((a, b) => a[1] - b[1]);
    wish.forEach(([name], i) => order.set(name, i));
  }
  return [...nodes].sort((a, b) => order.get(a.name) - order.get(b.name));
}

async function open(name) {
  let file;
  try { file = await ask("/api/file", { choices: page.choices, name }); } catch { return; }
  const equation = (law) => make("li", {}, make("div", { class: "law" }, make("span", { class: "lead" }, law.symbol && law.symbol !== law.name ? `${law.name} (${law.symbol})` : law.name), make("code", {}, ` = ${law.text}`), law.unit ? make("span", { class: "unit" }, ` [${law.unit}]`) : null), law.about ? make("div", { class: "hint" }, law.about) : null);
  const cited = (row) => (row.source ? make("span", { title: file.references[row.source] || row.source }, row.source) : row.assumed ? make("span", { class: "assumed", title: row.assumed }, "assumed") : "");
  const rows = (items) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers" }, make("table", { class: "numbers" },
    make("thead", {}, make("tr", {}, ["Name", "Value", "Unit", "Source", "Grade", "Meaning"].map((each) => make("th", { scope: "col" }, each)))),
    make("tbody", {}, items.map((row) => make("tr", {}, make("th", { scope: "row" }, row.symbol ? `${row.name} (${row.symbol})` : row.name), make("td", { title: row.range ? `95 % range ${row.range}` : "" }, row.value), make("td", {}, row.unit), make("td", {}, cited(row)), make("td", {}, row.grade), make("td", {}, row.about, row.assumed ? make("div", { class: "hint" }, row.assumed) : null))))));
  const part = (title, content, open) => (content ? make("details", { open }, make("summary", {}, title), content) : null);
  $("file").dataset.name = name;
  fill($("file"), make("div", { class: "row between" }, make("h3", {}, file.title), make("button", { class: "quiet", onclick: () => { $("file").hidden = true; document.querySelector(`[data-file="${name}"]`)?.focus(); } }, "Close")),
    make("p", {}, make("code", {}, `${name}.toml`), file.grade ? ` Evidence: ${file.grade}.` : "", file.assumed ? ` Assumed: ${file.assumed}.` : ""), make("p", { class: "hint" }, file.about.replaceAll("`", "")),
    part("Balances", file.balances.length && make("ul", { class: "laws" }, file.balances.map((each) => make("li", {}, make("code", {}, each.text)))), true),
    part(`Equations (${file.laws.length})`, file.laws.length && make("ul", { class: "laws" }, file.laws.map(equation)), true),
    part(`What acts across files (${file.effects.length})`, file.effects.length && make("ul", { class: "laws" }, file.effects.map((each) => make("li", {}, `${each.from} ${each.how} ${each.to}: `, make("code", {}, each.text))))),
    part(`States and inputs (${file.states.length})`, file.states.length && rows(file.states)),
    part(`Numbers (${file.parameters.length})`, file.parameters.length && rows(file.parameters)),
    part("References", Object.keys(file.references).length && make("ul", {}, Object.entries(file.references).map(([key, text]) => make("li", {}, make("strong", {}, key), ` ${text}`)))));
  $("file").hidden = false;
  $("file").focus({ preventScroll: true });
  $("file").scrollIntoView({ block: "nearest", behavior: "smooth" });
}

on("run", () => draw());
