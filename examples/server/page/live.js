// Hearing of changes: by the socket of live events, else by asking again.

import { post, Refused } from "./api.js";

const POLL = 5_000;
const LONGEST_PAUSE = 60_000;

/**
 * Says `changed(kinds)` after changes, `null` if it is not known what changed; `begun()` where it begins to
 * hear of all of them, so that what came before is read then; `state(word)` how it hears.
 */
export function listen({ changed, begun, state }) {
  let position = null;
  let pause = POLL;
  let polling;

  const poll = (yes) => {
    clearInterval(polling);
    polling = yes ? setInterval(() => changed(null), POLL) : undefined;
  };

  const again = () => {
    state("polling");
    poll(true);
    setTimeout(connect, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  };

  async function connect() {
    let ticket;
    try {
      ({ ticket } = await post("/events/ticket"));
    } catch (error) {
      // A server without live events stays without.
      if (error instanceof Refused && error.status === 404) pause = LONGEST_PAUSE;
      again();
      return;
    }
    const url = new URL("/api/v1/events", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("ticket", ticket);
    if (position != null) url.searchParams.set("after", position);
    const socket = new WebSocket(url);
    socket.onmessage = ({ data }) => {
      const { events, next } = JSON.parse(data);
      if (polling !== undefined || events.length === 0) {
        // What happened while nobody listened is in the lists, or after `next`.
        poll(false);
        state("live");
        pause = POLL;
      }
      if (position == null) begun();
      position = next;
      if (events.length > 0) changed(events.map((event) => event.kind));
    };
    socket.onclose = ({ code }) => {
      if (code === 4410) position = null;
      again();
    };
  }

  state("polling");
  poll(true);
  connect();
}

/** A function that calls `act` soon, never twice at a time; the longer it takes, the more rarely. */
export function paced(act, least = 300) {
  let wanted = false;
  let running = false;
  let timer;
  let wait = least;
  const run = async () => {
    timer = undefined;
    wanted = false;
    running = true;
    const begun = performance.now();
    try {
      await act();
      wait = Math.min(Math.max(least, (performance.now() - begun) * 3), LONGEST_PAUSE);
    } catch (error) {
      wait = Math.max(POLL, (error.retryAfter ?? 0) * 1000);
    }
    running = false;
    timer = setTimeout(() => {
      timer = undefined;
      if (wanted) run();
    }, wait);
  };
  return () => {
    wanted = true;
    if (!running && timer === undefined) timer = setTimeout(run, 0);
  };
}
