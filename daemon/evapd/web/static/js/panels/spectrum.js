// The mass spectrum: logarithmic, zoomed with the mouse, peaks named, the main peak's resolving power beside it.

import { el, number, show } from "../dom.js";
import { Pace } from "../pace.js";
import { CONFIG, colours, layout, plotly } from "../plotly.js";
import { array } from "../socket.js";

const EVERY_MS = 300; // every second document: plotly needs 15 ms for the line and 15 ms for the names of the peaks
const REST = 4;

export function mount(root, store) {
  const what = el("select", { id: "spectrum-what", "aria-label": "which hits" },
    el("option", { value: "run" }, "whole run"), el("option", { value: "recent" }, "last seconds"));
  const scale = el("select", { id: "spectrum-scale", "aria-label": "scale of counts" },
    el("option", { value: "log" }, "logarithmic"), el("option", { value: "linear" }, "linear"));
  const side = el("p", { class: "side" });
  const place = el("div", { class: "plot", role: "figure", "aria-label": "mass spectrum" });
  const ratios = el("p", { class: "side" });
  root.append(el("div", { class: "row" }, what, scale), place, side, ratios);
  const pace = new Pace(EVERY_MS, REST);
  const draw = async () => {
    const spectrum = store.live?.spectrum;
    if (!spectrum?.[what.value]) return;
    await plot(place, spectrum, what.value, scale.value, store.live.ions);
    show(side, words(spectrum, what.value));
    show(ratios, shares(store.live, what.value));
  };
  store.on("live", () => pace.draw(draw));
  what.onchange = scale.onchange = () => {
    pace.hurry();
    pace.draw(draw);
  };
}

async function plot(place, spectrum, what, scale, ions) {
  const Plotly = await plotly();
  const counts = array(spectrum[what]);
  const per = spectrum.bins / Math.sqrt(spectrum.max_da);
  let last = counts.length - 1;
  while (last > 0 && !counts[last]) last -= 1;
  const x = new Float64Array(last + 2);
  const y = new Float64Array(last + 2);
  for (let i = 0; i < x.length; i += 1) {
    x[i] = (i / per) ** 2;
    y[i] = scale === "log" ? Math.max(counts[i] ?? 0, 0.5) : counts[i] ?? 0;
  }
  let top = 1;
  for (const n of counts) if (n > top) top = n;
  const c = colours();
  const peaks = spectrum.peaks ?? [];
  const labels = apart(peaks).map((peak) => label(peak, scale, counts, per, c));
  const data = [{ x, y, type: "scattergl" in Plotly ? "scattergl" : "scatter", mode: "lines", line: { shape: "hv", width: 1, color: c.line }, hovertemplate: "%{x:.3f} Da<br>%{y:.0f} hits<extra></extra>" }];
  const wanted = layout({
    uirevision: `${what} ${scale} ${peaks.length ? Math.round(peaks[peaks.length - 1].mass_da) : 0}`,
    xaxis: { title: { text: "mass-to-charge ratio, Da" }, ...(peaks.length ? { range: [0, 1.25 * peaks[peaks.length - 1].mass_da] } : {}) },
    yaxis: { title: { text: "hits per bin" }, type: scale === "log" ? "log" : "linear", range: scale === "log" ? [-0.3, Math.log10(top) + 1.6] : [0, 1.35 * top] },
    annotations: labels, shapes: ranges(ions), hovermode: "x",
  });
  await Plotly.react(place, data, wanted, CONFIG);
}

function label(peak, scale, counts, per, c) {
  const height = Math.max(counts[Math.floor(Math.sqrt(peak.mass_da) * per)] ?? 1, 1);
  return {
    x: peak.mass_da, y: scale === "log" ? Math.log10(height) : height, text: peak.label || number(peak.mass_da, 2), showarrow: true, arrowhead: 0,
    arrowcolor: c.quiet, ax: 0, ay: -10, textangle: -90, yanchor: "bottom", font: { size: 11, color: c.ink },
  };
}

// The strongest peaks whose names do not stand on each other.
function apart(peaks) {
  const reach = peaks.length ? 1.25 * peaks[peaks.length - 1].mass_da : 1;
  const named = [];
  for (const peak of [...peaks].sort((a, b) => b.counts - a.counts)) {
    if (named.length < 14 && named.every((other) => Math.abs(other.mass_da - peak.mass_da) > 0.012 * reach)) named.push(peak);
  }
  return named;
}

// Ranges of a range file as bands in their own colours; without a file there are none to show.
function ranges(ions) {
  if (ions?.source !== "ranges") return [];
  return ions.ranges.map((range) => ({
    type: "rect", xref: "x", yref: "paper", x0: range.low_da, x1: range.high_da, y0: 0, y1: 1, line: { width: 0 }, fillcolor: ions.colours[range.ion], opacity: 0.25, layer: "below",
  }));
}

function words(spectrum, what) {
  const main = spectrum.main?.[what];
  if (!main || !Number.isFinite(main.m_dm50)) return "No peak to measure yet.";
  return `Main peak ${main.label || ""} at ${number(main.mass_da, 3)} Da: m/Δm ${number(main.m_dm50)} at half height, ${number(main.m_dm10)} at a tenth`;
}

// Charge states and, where a range file is configured, the composition; each with its counting error.
function shares(live, what) {
  const states = (live.charge_states?.[what] ?? []).filter((one) => one.ratio > 2 * one.error)
    .map((one) => `${one.ion} ${one.charges[0]}+/${one.charges[1]}+ ${number(one.ratio, 3)} ± ${number(one.error, 3)}`);
  const parts = (live.composition?.[what]?.composition ?? []).filter((one) => Number.isFinite(one.fraction))
    .map((one) => `${one.element} ${number(100 * one.fraction, 2)} ± ${number(100 * one.error, 2)} %`);
  return [...parts, ...states].join(", ");
}
