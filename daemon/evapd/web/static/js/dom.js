// Small helpers; text is always set as text, never as markup: instruments and people may say anything.

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function show(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const UNKNOWN = "unknown";
const FORMATS = new Map(); // by digits: making one takes longer than a hundred uses

export function number(value, digits = 0, unit = "") {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  if (!FORMATS.has(digits)) FORMATS.set(digits, new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  const text = FORMATS.get(digits).format(value);
  return unit ? `${text} ${unit}` : text;
}

export function clock(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNKNOWN;
  const whole = Math.floor(seconds);
  const two = (n) => String(n).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

export function timeOf(t_utc_us) {
  return Number.isFinite(t_utc_us) ? new Date(t_utc_us / 1000).toLocaleTimeString("en-GB") : "";
}
