// Puts the page together: who is looking, the connection, then the panels; plotly comes after the first paint.

import { Refused, session, setToken, takeTokenFromAddress } from "./api.js";
import { askForToken } from "./entry.js";
import { Feed } from "./socket.js";
import { Store } from "./store.js";
import * as abort from "./panels/abort.js";
import * as alarms from "./panels/alarms.js";
import * as controls from "./panels/controls.js";
import * as events from "./panels/events.js";
import * as histories from "./panels/histories.js";
import * as map from "./panels/map.js";
import * as margins from "./panels/margins.js";
import * as multiplicity from "./panels/multiplicity.js";
import * as notes from "./panels/notes.js";
import * as points from "./panels/points.js";
import * as readings from "./panels/readings.js";
import * as runs from "./panels/runs.js";
import * as spectrum from "./panels/spectrum.js";
import * as status from "./panels/status.js";
import * as timesums from "./panels/timesums.js";

const PANELS = { map, spectrum, histories, readings, controls, alarms, margins, multiplicity, timesums, events, points, notes, runs };
const TICK_MS = 250;

async function whoLooks() {
  for (;;) {
    try {
      return await session();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 401) setToken(await askForToken(error.message));
      else {
        if (error.status) say(error.message);
        await new Promise((done) => setTimeout(done, 1000)); // the server is being restarted, or does not know this name
      }
    }
  }
}

function say(text) {
  const strip = document.getElementById("strip");
  strip.textContent = text;
  strip.hidden = false;
}

export const store = new Store();

async function main() {
  takeTokenFromAddress();
  abort.mount(store); // first of all, and independent of everything that follows
  status.mount(store);
  for (const [name, panel] of Object.entries(PANELS)) panel.mount(document.getElementById(name), store);
  await whoLooks(); // the feed says who it is, each time it is opened
  const feed = new Feed((kind, data) => store.take(kind, data), (connected) => {
    store.connected = connected;
    store.tell("tick");
  });
  feed.open();
  setInterval(() => store.tell("tick"), TICK_MS);
}

main();
