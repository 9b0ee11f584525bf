// How figures and instants read. Exact, with units; what is not known is said to be unknown.

const NUMBER = new Intl.NumberFormat("en");
const MOMENT = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
});

/** By how much the server's clock is ahead of this one, in milliseconds. */
let ahead = 0;

/** Learns the server's clock from what it just said the time is. */
export function learnClock(iso) {
  ahead = Date.parse(iso) - Date.now();
}

/** The time as the server has it: what is measured against its instants is measured by its clock. */
export const now = () => Date.now() + ahead;

export const count = (number) => NUMBER.format(number);

/** "1 policy", "2 policies". */
export const counted = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

/** A length of time in its two largest units. */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  let rest = seconds;
  return units.slice(first, first + 2).flatMap(([unit, size]) => {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    return whole > 0 ? [`${whole} ${unit}`] : [];
  }).join(" ");
}

export const hours = (value) => (value == null ? "unknown" : `${count(value)} h`);

/** How long ago, or in how long. */
export function away(iso) {
  const difference = Date.parse(iso) - now();
  return difference < 0 ? `${duration(-difference)} ago` : `in ${duration(difference)}`;
}

export const moment = (iso) => MOMENT.format(new Date(iso));

export function bytes(value) {
  if (value == null) return "size unknown";
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const power = value < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return power === 0 ? `${count(value)} bytes` : `${(value / 1024 ** power).toFixed(1)} ${units[power]}`;
}

/** A word of the API for people. */
export const word = (text) => text.replaceAll("_", " ");
