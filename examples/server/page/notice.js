// What the page says of itself: one place for news, one for trouble. Screen readers hear both.

import { byId } from "./dom.js";
import { explain } from "./api.js";

let clearing;

/** News, for a while. */
export function tell(text) {
  byId("alert").textContent = "";
  byId("notice").textContent = text;
  clearTimeout(clearing);
  clearing = setTimeout(() => { byId("notice").textContent = ""; }, 15_000);
}

/** Trouble with something that was asked for; it stays until the next news. */
export function complain(error) {
  const text = explain(error);
  byId("notice").textContent = "";
  if (byId("alert").textContent !== text) byId("alert").textContent = text;
}

/** The trouble is over. */
export function calm() {
  byId("alert").textContent = "";
}

/** Does what a button asks for, once at a time, and says so if it fails. */
export const attempt = (act, failed = complain) => async (event) => {
  const button = event.currentTarget;
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await act(event);
  } catch (error) {
    failed(error);
  } finally {
    button.removeAttribute("aria-busy");
  }
};
