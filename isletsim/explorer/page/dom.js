// Small helpers to build the page. Texts go in as text, never as markup.

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function sketch(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) if (name.startsWith("on")) element.addEventListener(name.slice(2), value); else element.setAttribute(name, value);
  element.append(...children.flat());
  return element;
}

export const fill = (element, ...children) => { element.replaceChildren(...children.flat().filter(Boolean)); return element; };

export function segments(holder, options, chosen, choose) {
  const key = JSON.stringify(options);
  if (holder.dataset.key !== key) {
    holder.dataset.key = key;
    fill(holder, options.map(({ value, label }) => make("button", { type: "button", "data-value": value, onclick: () => choose(value) }, label)));
  }
  for (const button of holder.children) button.setAttribute("aria-pressed", String(button.dataset.value === String(chosen)));
}

export function say(text) { $("live").textContent = text; }

export function alarm(problem) {
  const faults = problem && problem.faults && problem.faults.length ? problem.faults : [{ message: problem ? problem.message : "" }];
  fill($("alert"), problem && make("div", { class: "alarm" },
    make("strong", {}, "This could not be simulated. The curves show the last choices that could."),
    faults.slice(0, 5).map(({ place, message, cure }) => make("p", {}, [place, message, cure].filter(Boolean).join(" "))),
    make("button", { class: "quiet", onclick: () => alarm(null) }, "Close")));
}
