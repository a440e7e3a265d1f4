// plotly, loaded from this server after the first paint, once for all panels that draw with it.

let loading;

export function plotly() {
  loading ??= new Promise((done, failed) => {
    const load = () => {
      const script = document.createElement("script");
      script.src = "/plotly.min.js";
      script.onload = () => done(window.Plotly);
      script.onerror = () => {
        loading = undefined; // the next drawing asks again: the server may have been restarted
        failed(new Error("plotly could not be loaded from this server"));
      };
      document.head.append(script);
    };
    requestAnimationFrame(() => setTimeout(load, 0));
  });
  return loading;
}

// Colours of the page as plotly wants them.
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { ink: of("--ink"), quiet: of("--quiet"), grid: of("--grid"), line: of("--bar-1"), second: of("--bar-2"), alarm: of("--alarm"), panel: of("--panel") };
}

export function layout(changes = {}) {
  const c = colours();
  const axis = { gridcolor: c.grid, zerolinecolor: c.grid, linecolor: c.grid, tickfont: { size: 11 } };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: c.ink, size: 12 },
    margin: { l: 52, r: 12, t: 8, b: 36 }, showlegend: false, uirevision: "keep", ...changes,
    xaxis: { ...axis, ...(changes.xaxis || {}) }, yaxis: { ...axis, ...(changes.yaxis || {}) },
  };
}

export const CONFIG = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
