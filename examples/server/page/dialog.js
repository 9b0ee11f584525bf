// The one dialog of the page. Closing it gives the focus back to where it was.

import { byId, render } from "./dom.js";
import { explain } from "./api.js";

const dialog = byId("dialog");
let onClose = () => {};

/** Opens the dialog with this title and content; `closed` is called when it is left. */
export function open(title, content, closed = () => {}) {
  onClose();
  onClose = closed;
  byId("dialog-title").textContent = title;
  say("");
  render(byId("dialog-body"), content);
  if (!dialog.open) dialog.showModal();
  (byId("dialog-body").querySelector("input, select, button") ?? byId("dialog-title")).focus();
}

/** Puts other content in its place. */
export function refresh(content) {
  const had = byId("dialog-body").contains(document.activeElement);
  render(byId("dialog-body"), content);
  // What had the focus may be gone: the reader goes on from the top.
  if (had && !byId("dialog-body").contains(document.activeElement)) byId("dialog-title").focus();
}

export const close = () => dialog.close();

/** What happens, for all to hear. The same is not said twice. */
export function say(text) {
  byId("dialog-alert").textContent = "";
  if (byId("dialog-status").textContent !== text) byId("dialog-status").textContent = text;
}

/** Trouble with what the dialog asked for. */
export function complain(error) {
  byId("dialog-status").textContent = "";
  byId("dialog-alert").textContent = explain(error);
}

byId("dialog-close").addEventListener("click", close);
dialog.addEventListener("close", () => {
  onClose();
  onClose = () => {};
});
