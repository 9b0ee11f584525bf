// Making elements. Text is always set as text: nothing that the server says is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** The element of the page with this id. */
export const byId = (id) => document.getElementById(id);

function dress(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null));
  return node;
}

/** An element. Attributes that begin with `on` are listeners; `null` children are left out. */
export const el = (name, attributes = {}, ...children) => dress(document.createElement(name), attributes, children);

/** The same for drawings. */
export const svg = (name, attributes = {}, ...children) =>
  dress(document.createElementNS(SVG, name), attributes, children);

/** A list of names and values; pairs whose value is `null` are left out. */
export const facts = (pairs) =>
  el("dl", {}, pairs.filter(([, value]) => value != null).map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, value))));

/** What may be wider than the screen. It scrolls by itself, and by keyboard. */
export const wide = (name, child) =>
  el("div", { class: "wide", role: "group", tabindex: 0, "aria-label": name, "data-key": `wide-${name}` }, child);

/** An instant in the reader's own zone, exact on hover and for machines. */
export const time = (iso, text) => el("time", { datetime: iso, title: iso }, text);

/**
 * Puts `children` into `parent` in place of what is there, and leaves the focus on the element with the
 * same `data-key`, so that a refresh never takes it from who works by keyboard.
 */
export function render(parent, ...children) {
  const key = parent.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const open = [...parent.querySelectorAll("details[open][data-key]")].map((node) => node.dataset.key);
  parent.replaceChildren(...children.flat().filter((child) => child != null));
  for (const node of parent.querySelectorAll("details[data-key]")) node.open = open.includes(node.dataset.key);
  if (key) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}
