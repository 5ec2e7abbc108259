// The side of the page: patient, therapies with evidence, sliders with ranges.

import { $, fill, make } from "./dom.js";
import { choose, commit, on, page, solve } from "./state.js";
import { plural, pretty } from "./plot.js";

const STEPS = 1000;
const YEARS = [1, 2, 3, 5, 10, 15, 20];
let sliders = {}, shape = "";

const place = (slider, value) => Math.round(STEPS * (slider.log ? Math.log(value / slider.low) / Math.log(slider.high / slider.low) : (value - slider.low) / (slider.high - slider.low)));
const valueAt = (slider, at) => {
  const share = at / STEPS;
  const value = slider.log ? slider.low * (slider.high / slider.low) ** share : slider.low + share * (slider.high - slider.low);
  const stepped = slider.step ? Math.round(value / slider.step) * slider.step : value;
  return Math.min(slider.high, Math.max(slider.low, Number(stepped.toPrecision(3))));
};

export function setup() {
  if (!page.start.controls.patients.length) { // a model by itself: there is nobody to treat
    $("who").textContent = "Model";
    $("head-sliders").textContent = "Change the model";
    for (const id of ["add", "people", "history", "bands"]) $(id).hidden = true;
  }
  const { controls } = page.start;
  const groups = Map.groupBy ? Map.groupBy(controls.patients, (each) => each.group) : group(controls.patients);
  fill($("patient"), [...groups].map(([label, patients]) => make("optgroup", { label }, patients.map((each) => make("option", { value: each.file }, each.label)))));
  $("patient").addEventListener("change", () => choose((choices) => {
    const fresh = { patient: $("patient").value, cohort: choices.cohort };
    for (const key of Object.keys(choices)) delete choices[key];
    Object.assign(choices, fresh);
  }));
  $("years").addEventListener("change", () => choose((choices) => { choices.years = Number($("years").value); }));
  $("cohort").addEventListener("change", () => choose((choices) => { choices.cohort = $("cohort").checked ? page.start.cohort : 0; }));
  $("again").addEventListener("change", () => choose((choices) => { choices.again = $("again").checked; }));
  $("reset").addEventListener("click", () => choose((choices) => { choices.sliders = {}; choices.again = false; }));
}

function group(items) {
  const found = new Map();
  for (const each of items) found.set(each.group, [...(found.get(each.group) || []), each]);
  return found;
}

// --- drawing ---

export function draw() {
  const { settings } = page.run || {};
  if (!settings) return;
  const key = JSON.stringify([settings.sliders, settings.therapies, page.choices.patient, page.choices.scenario]);
  if (key !== shape) { shape = key; build(settings); }
  refresh(settings);
}

function build(settings) {
  const { controls } = page.start;
  fill($("therapies"), controls.therapy_groups.map((group) => {
    const own = settings.therapies.filter((each) => each.group === group.name);
    return own.length ? make("fieldset", {}, make("legend", {}, group.label), own.map(therapyCard)) : null;
  }));
  sliders = {};
  fill($("sliders"), controls.slider_groups.map((group) => {
    const own = settings.sliders.filter((each) => each.group === group.name);
    return own.length ? make("fieldset", {}, make("legend", {}, group.label), own.map(sliderRow)) : null;
  }));
}

function refresh(settings) {
  const { choices } = page;
  const custom = choices.scenario || choices.text;
  if (custom && !$("patient").querySelector("option[value='']")) $("patient").prepend(make("option", { value: "" }, ""));
  if (custom) $("patient").querySelector("option[value='']").textContent = settings.title;
  else $("patient").querySelector("option[value='']")?.remove();
  $("patient").value = custom ? "" : choices.patient;
  const years = choices.years || settings.years;
  const offered = [...new Set([...YEARS, years])].sort((a, b) => a - b);
  fill($("years"), offered.map((each) => make("option", { value: each, selected: each === years }, each < 0.2 ? `${Math.round(each * 365.25)} ${plural(Math.round(each * 365.25), "day")}` : `${each} ${plural(each, "year")}`)));
  $("cohort").checked = Boolean(choices.cohort);
  $("again").checked = Boolean(choices.again);
  const moved = Object.keys(choices.sliders || {});
  $("reset").disabled = !moved.length;
  const history = settings.sliders.some((each) => each.history && moved.includes(each.name));
  if (!page.start.controls.patients.length) $("acts").textContent = "Sliders act from the start.";
  else $("acts").textContent = choices.again ? "The history is simulated again with these values. Usual care is always drawn."
    : history ? "Sliders act from day 0; those marked “history” change who the patient became." : "Sliders act from day 0. Usual care is always drawn.";
  for (const slider of settings.sliders) sliders[slider.name]?.refresh();
  for (const card of document.querySelectorAll("[data-therapy]")) card.refresh();
  const outside = settings.sliders.filter((each) => outsideOf(each, choices.sliders?.[each.name]));
  const banner = $("banner");
  banner.hidden = !outside.length;
  banner.textContent = outside.length ? `Outside the ranges in which the model was checked: ${outside.map((each) => `${each.label} ${pretty(choices.sliders[each.name])} ${each.unit}`.trim()).join(", ")}. Read the curves as a what-if, not as a prediction.` : "";
}

const inside = (band, value) => band && value >= band[0] - 1e-12 && value <= band[1] + 1e-12;
const outsideOf = (slider, value) => value !== undefined && (slider.healthy || slider.diseased) && !inside(slider.healthy, value) && !inside(slider.diseased, value);

function sliderRow(slider) {
  const id = `slider-${slider.name}`;
  const input = make("input", { type: "range", id, min: 0, max: STEPS, step: 1, class: "track", "aria-describedby": `${id}-about` });
  const number = make("input", { type: "number", class: "number", step: "any", min: slider.low, max: slider.high, "aria-label": `${slider.label}, value${slider.unit ? ` in ${slider.unit}` : ""}` });
  const back = make("button", { class: "back", title: `Back to ${pretty(slider.value)}`, "aria-label": `Reset ${slider.label}`, onclick: () => set(null, true) }, "↺");
  const band = (ends, name) => {
    if (!ends) return null;
    const low = Math.max(0, place(slider, Math.max(ends[0], slider.low))), high = Math.min(STEPS, place(slider, Math.min(ends[1], slider.high)));
    return make("span", { class: `range ${name}`, style: { left: `${low / 10}%`, width: `${(high - low) / 10}%` } });
  };
  const bands = make("div", { class: "ranges", "aria-hidden": "true" }, band(slider.healthy, "healthy"), band(slider.diseased, "diseased"),
    make("span", { class: "own", style: { left: `${place(slider, slider.value) / 10}%` } }));
  const ranges = [slider.healthy && `healthy ${slider.healthy.map((each) => pretty(each)).join(" to ")}`, slider.diseased && `in disease ${slider.diseased.map((each) => pretty(each)).join(" to ")}`].filter(Boolean).join(", ");
  const about = make("p", { id: `${id}-about`, class: "about", hidden: true }, `${slider.about} `, make("span", { class: "nowrap" }, `This patient: ${pretty(slider.value)} ${slider.unit}. `), ranges ? `${ranges[0].toUpperCase()}${ranges.slice(1)}. ` : "", make("code", {}, slider.path));
  const ask = make("button", { class: "ask", "aria-expanded": "false", "aria-controls": `${id}-about`, "aria-label": `About ${slider.label}`, title: slider.path, onclick: () => { about.hidden = !about.hidden; ask.setAttribute("aria-expanded", String(!about.hidden)); } }, "?");
  const set = (value, keep) => choose((choices) => {
    choices.sliders = { ...choices.sliders };
    if (value === null || value === slider.value) delete choices.sliders[slider.name]; else choices.sliders[slider.name] = value;
    paint(value === null ? slider.value : value);
  }, { keep });
  const paint = (value) => {
    if (document.activeElement !== input || Number(input.value) !== place(slider, value)) input.value = place(slider, value);
    if (document.activeElement !== number) number.value = String(Number(value.toPrecision(4)));
    input.setAttribute("aria-valuetext", `${pretty(value)} ${slider.unit}`.trim() + (ranges ? `; ${ranges}` : ""));
  };
  input.addEventListener("input", () => set(valueAt(slider, Number(input.value)), false));
  input.addEventListener("change", () => commit());
  number.addEventListener("change", () => {
    const value = Number(number.value);
    if (Number.isFinite(value) && number.value !== "") set(Math.min(slider.high, Math.max(slider.low, value)), true);
  });
  const row = make("div", { class: "slider", "data-slider": slider.name },
    make("div", { class: "row between" },
      make("label", { for: id, title: slider.path }, slider.label, slider.history ? make("span", { class: "tag", title: "This number matters while the history is simulated, so it is simulated again." }, "history") : null, ask),
      make("span", { class: "value" }, back, number, make("span", { class: "unit" }, plural(2, slider.unit)))),
    make("div", { class: "trackwrap" }, bands, input), about);
  sliders[slider.name] = { refresh: () => {
    const value = page.choices.sliders?.[slider.name];
    row.classList.toggle("moved", value !== undefined);
    row.classList.toggle("outside", outsideOf(slider, value));
    back.disabled = value === undefined;
    paint(value ?? slider.value);
  } };
  return row;
}

// --- therapies ---

const given = (name) => (page.choices.therapies || []).find((each) => each.name === name);

function therapyCard(therapy) {
  const id = `therapy-${therapy.name}`, { evidence } = therapy;
  const box = make("input", { type: "checkbox", id, role: "switch" });
  box.addEventListener("change", () => choose((choices) => {
    const others = (choices.therapies || []).filter((each) => each.name !== therapy.name);
    choices.therapies = box.checked ? [...others, { name: therapy.name }] : others;
  }));
  const change = (act, keep) => choose((choices) => {
    choices.therapies = choices.therapies.map((each) => (each.name === therapy.name ? act({ ...each, knobs: { ...each.knobs } }) : each));
  }, { keep });
  const knobs = therapy.knobs.map((knob, index) => knobRow(`${id}-${index}`, knob,
    () => given(therapy.name)?.knobs?.[index] ?? knob.value,
    (value, keep) => change((each) => { each.knobs[index] = value; return each; }, keep)));
  const start = { label: "Start after", unit: "month", low: 0, high: 60, log: false, step: 1, value: 0 };
  knobs.push(knobRow(`${id}-start`, start, () => given(therapy.name)?.start ?? 0, (value, keep) => change((each) => { each.start = value; return each; }, keep)));
  const flags = evidence.flags.filter((each) => each.severity === "high");
  const details = make("div", { class: "details", hidden: true },
    make("p", { class: "about" }, therapy.about, " ", make("code", {}, therapy.path)), knobs.map((each) => each.row),
    evidence.numbers ? make("p", { class: "about" }, `${evidence.assumed} of its ${evidence.numbers} numbers are assumed.`) : null,
    flags.length ? make("ul", { class: "flags" }, flags.slice(0, 4).map((each) => make("li", {}, each.text))) : null);
  const card = make("div", { class: "therapy", "data-therapy": therapy.name },
    make("div", { class: "row between" }, make("label", { for: id, class: "switch", title: therapy.path }, box, make("span", {}, therapy.label)), badge(evidence)), details);
  card.refresh = () => {
    const on = Boolean(given(therapy.name));
    box.checked = on;
    card.classList.toggle("on", on);
    details.hidden = !on;
    if (on) knobs.forEach((each) => each.refresh());
  };
  return card;
}

export function badge(evidence) {
  if (!evidence.words) return null;
  const share = evidence.numbers ? evidence.assumed / evidence.numbers : 0;
  const kind = evidence.grade.startsWith("human") ? "human" : evidence.grade === "assumed" ? "weak" : "animal";
  const text = `Evidence: ${evidence.words}${share ? `; ${evidence.assumed} of ${evidence.numbers} numbers assumed` : ""}`;
  return make("span", { class: `badge ${kind}`, title: text }, make("span", { class: "hidden" }, "Evidence: "), evidence.words.replace(/preclinical \((.*)\)/, "$1 only"));
}

function knobRow(id, knob, read, write) {
  const input = make("input", { type: "range", id, min: 0, max: STEPS, step: knob.step ? Math.max(1, Math.round((STEPS * knob.step) / (knob.high - knob.low))) : 1, class: "track" });
  const output = make("output", { for: id });
  const refresh = () => {
    const value = read();
    if (document.activeElement !== input || valueAt(knob, Number(input.value)) !== value) input.value = place(knob, value);
    output.textContent = `${shorten(value)} ${plural(value, knob.unit)}`.trim();
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => { write(valueAt(knob, Number(input.value)), false); refresh(); });
  input.addEventListener("change", () => commit());
  return { refresh, row: make("div", { class: "knob" }, make("label", { for: id }, knob.label), make("div", { class: "trackwrap" }, input), output) };
}

const shorten = (value) => (value >= 1e5 ? `${pretty(value / 1e6)} million` : pretty(value));

on("choices", () => page.run && refresh(page.run.settings));
export { solve };
