// The last hundred thousand projected ions in three dimensions: made when somebody asks for it, for it is the dearest thing on the page.

import { points } from "../api.js";
import { el, number, show } from "../dom.js";
import { Pace } from "../pace.js";
import { CONFIG, colours, plotly } from "../plotly.js";
import { array } from "../socket.js";

const MOST = 100_000;
const EVERY_MS = 2000;
const REST = 9; // times as long as drawing took: a computer without a graphics card shall still obey a click

export function mount(root, store) {
  const cloud = new Cloud();
  const place = el("div", { class: "plot", hidden: true });
  const side = el("p", { class: "side" }, "Collected in the background, also before this page was opened; drawn on demand.");
  const legend = el("div", { class: "legend" });
  let asked = false; // what the server has kept: fetched when the points are shown first, and again after a lost connection
  const button = el("button", { type: "button", "aria-pressed": "false" }, "Show points");
  root.append(el("span", { class: "preview" }, "PREVIEW: not a reconstruction"), el("div", { class: "row" }, button), place, legend, side);
  let shown = false;
  const pace = new Pace(EVERY_MS, REST);
  button.onclick = async () => {
    shown = !shown;
    place.hidden = !shown;
    button.textContent = shown ? "Hide points" : "Show points";
    button.setAttribute("aria-pressed", String(shown));
    if (shown) {
      pace.hurry();
      if (!asked) fetchKept();
    } else if (!pace.busy) await clear(); // else whoever draws clears behind itself
  };
  async function fetchKept() {
    asked = true;
    const apart = cloud.setApart();
    try {
      asked = cloud.fill(await points(), apart);
      pace.hurry();
    } catch (error) {
      asked = false;
      console.warn("what the server has kept did not come", error.message);
    } finally {
      cloud.endApart();
    }
  }
  store.on("hello", () => {
    asked = false;
    if (shown) fetchKept();
  });
  store.on("live", (live) => {
    cloud.take(live);
    if (shown) pace.draw(() => draw(live));
  });
  async function clear() {
    (await plotly()).purge(place);
  }
  async function draw(live) {
    if (shown) await picture(live);
    if (!shown) await clear(); // hidden meanwhile
  }
  async function picture(live) {
    await plot(place, cloud);
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); // the picture is on the screen
    key(legend, cloud);
    const projection = live.points?.projection?.name ?? "";
    show(side, `${number(cloud.n)} ions${projection ? `, ${projection}` : ""}; drag to turn`);
  }
}

// A ring of positions: it never grows beyond what it shows.
class Cloud {
  constructor() {
    this.xyz = new Float32Array(3 * MOST);
    this.ion = new Uint8Array(MOST);
    this.clear("");
  }

  // What comes from now on is also kept apart, until it is known which of it is among what the server has kept.
  setApart() {
    this.apart = [];
    return this.apart;
  }

  endApart() {
    this.apart = null;
  }

  fill(kept, apart) {
    if (kept.run !== this.run) return false; // another run has begun meanwhile
    if (kept.n < this.n) return true; // the server was started after this page was opened
    [this.at, this.n] = [0, 0];
    this.add(kept.xyz, kept.ion);
    for (const live of apart) if (live.instance === kept.instance && live.n > kept.document) this.addLive(live);
    return true;
  }

  clear(run) {
    [this.at, this.n, this.run] = [0, 0, run];
    this.names = ["other"];
    this.colours = ["#888888"];
  }

  take(live) {
    const run = live.analysis?.run ?? this.run;
    if (run !== this.run) this.clear(run);
    if (live.ions) {
      this.names = live.ions.names.map((name) => name || "other");
      this.colours = live.ions.colours;
    }
    this.apart?.push(live);
    this.addLive(live);
  }

  addLive(live) {
    if (live.points?.n) this.add(array(live.points.xyz_nm), array(live.points.ion));
  }

  add(xyz, ion) {
    for (let i = 0; i < ion.length; i += 1) {
      this.xyz.set(xyz.subarray(3 * i, 3 * i + 3), 3 * this.at);
      this.ion[this.at] = ion[i];
      this.at = (this.at + 1) % MOST;
      this.n = Math.min(this.n + 1, MOST);
    }
  }
}

async function plot(place, cloud) {
  const Plotly = await plotly();
  const c = colours();
  const traces = cloud.names.map((name, k) => {
    const [x, y, z] = [[], [], []];
    for (let i = 0; i < cloud.n; i += 1) {
      if (cloud.ion[i] !== k) continue;
      x.push(cloud.xyz[3 * i]);
      y.push(cloud.xyz[3 * i + 1]);
      z.push(-cloud.xyz[3 * i + 2]);
    }
    return { type: "scatter3d", mode: "markers", name, x, y, z, marker: { size: 1.4, color: cloud.colours[k] }, hoverinfo: "skip" };
  });
  const axis = { color: c.quiet, gridcolor: c.grid, backgroundcolor: "rgba(0,0,0,0)" };
  const scene = { aspectmode: "data", uirevision: "keep", xaxis: { ...axis, title: { text: "x, nm" } }, yaxis: { ...axis, title: { text: "y, nm" } }, zaxis: { ...axis, title: { text: "depth, nm" } } };
  await Plotly.react(place, traces, { scene, showlegend: false, uirevision: "keep", margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "rgba(0,0,0,0)", font: { color: c.ink } }, CONFIG);
}

function key(legend, cloud) {
  legend.replaceChildren(...cloud.names.map((name, k) => {
    const swatch = el("span", { class: "swatch" });
    swatch.style.background = cloud.colours[k];
    return el("span", {}, swatch, name);
  }));
}
