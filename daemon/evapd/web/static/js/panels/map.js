// Where the hits are on the detector: drawn on a canvas, which costs a tenth of what a plot would.

import { el, number, show } from "../dom.js";
import { array } from "../socket.js";

export function mount(root, store) {
  const canvas = el("canvas", { role: "img", "aria-label": "detector hit map" });
  const what = select("map-what", { recent: "last seconds", run: "whole run" });
  const scale = select("map-scale", { log: "logarithmic", linear: "linear" });
  const side = el("p", { class: "side" });
  root.append(el("div", { class: "row" }, what, scale), el("div", { class: "map-wrap" }, canvas, side));
  const draw = () => paint(canvas, side, store.live?.map, what.value, scale.value);
  store.on("live", draw);
  what.onchange = scale.onchange = draw;
}

function select(id, choices) {
  const made = el("select", { id, "aria-label": id.replace("-", " ") });
  for (const [value, text] of Object.entries(choices)) made.append(el("option", { value }, text));
  return made;
}

function paint(canvas, side, map, what, scale) {
  const packed = map?.[what];
  if (!packed) {
    show(side, "no hits yet");
    return;
  }
  const counts = array(packed);
  const [rows, columns] = packed.shape;
  if (canvas.width !== columns) [canvas.width, canvas.height] = [columns, rows];
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  let top = 0;
  let sum = 0;
  for (const n of counts) {
    sum += n;
    if (n > top) top = n;
  }
  const full = scale === "log" ? Math.log1p(top) : top;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const n = counts[row * columns + column];
      const level = full ? Math.round((255 * (scale === "log" ? Math.log1p(n) : n)) / full) : 0;
      const at = 4 * ((rows - 1 - row) * columns + column); // y points up
      image.data.set(RAMP[level], at);
    }
  }
  context.putImageData(image, 0, 0);
  const [left, right] = map.extent_mm;
  const spot = map.hot_spot?.[what];
  const hot = spot ? `, most at (${number(spot.x_mm)}, ${number(spot.y_mm)}) mm` : "";
  show(side, `${number(right - left)} mm across, ${number(sum)} hits, at most ${number(top)} in a cell${hot}`);
}

// Dark blue over teal to yellow, rising in lightness throughout, so that it reads in grey and for every eye.
const STOPS = [[8, 12, 40], [32, 60, 120], [30, 120, 140], [90, 175, 110], [200, 215, 70], [255, 250, 170]];
const RAMP = Array.from({ length: 256 }, (_, i) => {
  if (i === 0) return [0, 0, 0, 255];
  const at = (i / 255) * (STOPS.length - 1);
  const low = Math.min(Math.floor(at), STOPS.length - 2);
  return [...STOPS[low].map((v, k) => Math.round(v + (at - low) * (STOPS[low + 1][k] - v))), 255];
});
