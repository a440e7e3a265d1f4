// The mass spectrum: logarithmic, zoomed with the mouse, peaks named, the main peak's resolving power beside it.

import { el, number, show } from "../dom.js";
import { CONFIG, colours, layout, plotly } from "../plotly.js";
import { array } from "../socket.js";

const EVERY_MS = 400; // plotly redraws a line of 4000 points in 10 ms; the eye needs no more than two a second

export function mount(root, store) {
  const what = el("select", { id: "spectrum-what", "aria-label": "which hits" },
    el("option", { value: "whole" }, "whole run"), el("option", { value: "recent" }, "last seconds"));
  const scale = el("select", { id: "spectrum-scale", "aria-label": "scale of counts" },
    el("option", { value: "log" }, "logarithmic"), el("option", { value: "linear" }, "linear"));
  const side = el("p", { class: "side" });
  const place = el("div", { class: "plot", role: "img", "aria-label": "mass spectrum" });
  root.append(el("div", { class: "row" }, what, scale), place, side);
  let drawn = 0;
  let busy = false;
  const draw = async () => {
    const spectrum = store.live?.spectrum;
    if (busy || !spectrum?.[what.value] || document.hidden) return;
    drawn = performance.now();
    busy = true;
    try {
      await plot(place, spectrum, what.value, scale.value);
      show(side, words(spectrum));
    } finally {
      busy = false;
    }
  };
  store.on("live", () => { if (performance.now() - drawn >= EVERY_MS) draw(); });
  what.onchange = scale.onchange = () => { place.dataset.fresh = "1"; draw(); };
}

async function plot(place, spectrum, what, scale) {
  const Plotly = await plotly();
  const counts = array(spectrum[what]);
  const per = spectrum.bins_per_root;
  let last = counts.length - 1;
  while (last > 0 && !counts[last]) last -= 1;
  const x = new Float64Array(last + 2);
  const y = new Float64Array(last + 2);
  for (let i = 0; i < x.length; i += 1) {
    x[i] = (i / per) ** 2;
    y[i] = scale === "log" ? Math.max(counts[i] ?? 0, 0.5) : counts[i] ?? 0;
  }
  const c = colours();
  const labels = (spectrum.peaks ?? []).map((peak) => label(peak, scale, counts, per, c));
  const data = [{ x, y, type: "scattergl" in Plotly ? "scattergl" : "scatter", mode: "lines", line: { shape: "hv", width: 1, color: c.line }, hovertemplate: "%{x:.3f} Da<br>%{y:.0f} hits<extra></extra>" }];
  const wanted = layout({
    uirevision: place.dataset.fresh === "1" ? String(Math.random()) : "keep",
    xaxis: { title: { text: "mass-to-charge ratio, Da" }, rangemode: "nonnegative" },
    yaxis: { title: { text: "hits per bin" }, type: scale === "log" ? "log" : "linear" },
    annotations: labels, hovermode: "x",
  });
  place.dataset.fresh = "";
  await Plotly.react(place, data, wanted, CONFIG);
}

function label(peak, scale, counts, per, c) {
  const height = Math.max(counts[Math.floor(Math.sqrt(peak.mass_da) * per)] ?? 1, 1);
  return {
    x: peak.mass_da, y: scale === "log" ? Math.log10(height) : height, text: peak.label || number(peak.mass_da, 2), showarrow: true, arrowhead: 0,
    arrowcolor: c.quiet, ax: 0, ay: -18, font: { size: 11, color: c.ink },
  };
}

function words(spectrum) {
  const main = spectrum.main ?? (spectrum.peaks ?? [])[0];
  if (!main || !Number.isFinite(main.fwhm_da) || !(main.fwhm_da > 0)) return "No peak to measure yet.";
  return `Main peak ${main.label || ""} at ${number(main.mass_da, 3)} Da, m/Δm ${number(main.mass_da / main.fwhm_da)} at half height`;
}
