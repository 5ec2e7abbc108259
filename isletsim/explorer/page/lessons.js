// Lessons: short guided pages beside the curves. Answers come from the model.

import { $, fill, make } from "./dom.js";
import { ask, copy, commit, page, solve, tell } from "./state.js";
import { day } from "./day.js";
import { watch } from "./years.js";
import { pretty } from "./plot.js";

let lesson = null, step = 0, answers = null, tried = {};

export function list(show) {
  fill($("lesson-list"), page.start.lessons.map((each, i) => make("article", { class: "card" },
    make("div", { class: "order" }, String(i + 1)), make("h3", {}, each.title), make("p", {}, each.goal),
    make("div", { class: "row between" }, make("span", { class: "hint" }, `${each.minutes} minutes, ${each.steps.length} steps`), make("button", { class: "primary", onclick: () => begin(each, show), "aria-label": `Begin: ${each.title}` }, "Begin")))));
}

export function begin(each, show) {
  lesson = each; step = 0; answers = null; tried = {};
  page.pinned = null;
  $("pin").setAttribute("aria-pressed", "false");
  turn(show);
}

function turn(show) {
  const current = lesson.steps[step];
  page.choices = copy({ ...current.choices });
  if (current.tab === "day") { day.test = current.day.test ?? ""; day.years = current.day.years ?? 0; }
  tell("choices");
  show(current.tab);
  commit();
  solve();
  watch(current.show);
  draw(show);
  $("lesson").scrollIntoView({ block: "start" });
}

function draw(show) {
  const current = lesson.steps[step], last = step === lesson.steps.length - 1;
  $("lesson").hidden = false;
  fill($("lesson"),
    make("div", { class: "row between nowraps" }, make("span", { class: "hint" }, `Lesson: ${lesson.title}`), make("button", { class: "quiet", onclick: close }, "Leave")),
    make("div", { class: "progress", role: "img", "aria-label": `Step ${step + 1} of ${lesson.steps.length}` }, lesson.steps.map((_, i) => make("span", { class: i <= step ? "done" : "" }))),
    make("h2", { tabindex: "-1", id: "lesson-title" }, current.title), current.text.map((text) => make("p", {}, text)),
    current.questions.map((question, i) => ask_(question, i)),
    make("div", { class: "row between" },
      make("button", { class: "quiet", disabled: step === 0, onclick: () => { step -= 1; turn(show); } }, "Back"),
      make("button", { class: "quiet", onclick: () => turn(show) }, "Show again"),
      make("button", { class: "primary", onclick: () => { if (last) { close(); show("lessons"); } else { step += 1; turn(show); } } }, last ? "Finish" : "Next")));
  $("lesson-title").focus({ preventScroll: true });
}

function close() { $("lesson").hidden = true; lesson = null; watch([]); }

function ask_(question, index) {
  const id = `question-${step}-${index}`, key = `${step}-${index}`;
  const verdict = make("div", { class: "verdict", "aria-live": "polite" });
  const body = question.options.length
    ? question.options.map((text, i) => make("label", { class: "option" }, make("input", { type: "radio", name: id, value: i }), text))
    : [make("label", { class: "option" }, make("input", { type: "number", step: "any", id, class: "number", "aria-label": question.ask }), question.unit)];
  const form = make("form", { class: "question", onsubmit: async (event) => {
    event.preventDefault();
    const chosen = question.options.length ? form.querySelector("input:checked") : form.querySelector("input");
    if (!chosen || chosen.value === "") { fill(verdict, "Choose or write an answer first."); return; }
    fill(verdict, "Computing the answer from the model…");
    try { answers ||= await ask("/api/answers", { lesson: lesson.name }); } catch (problem) { fill(verdict, problem.message); return; }
    const answer = answers.steps[step][index], value = Number(chosen.value);
    const right = question.options.length ? value === answer.option : Math.abs(value - answer.value) <= answer.within + 1e-12;
    tried[key] = (tried[key] || 0) + 1;
    const solution = question.options.length ? question.options[answer.option] : `${pretty(answer.value)} ${question.unit}`;
    verdict.className = `verdict ${right ? "right" : "wrong"}`;
    fill(verdict, make("strong", {}, right ? "Right. " : tried[key] > 1 ? `Not quite: ${solution}. ` : "Not quite. Look once more, then check again. "), right || tried[key] > 1 ? answer.because : "");
  } }, make("fieldset", {}, make("legend", {}, question.ask), body), make("div", { class: "row" }, make("button", { class: "primary small" }, "Check")), verdict);
  return form;
}
