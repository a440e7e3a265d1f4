// Requests to the server that served this page. Nothing is ever asked of another host.

let token = sessionStorage.getItem("evapd-token") || "";

export function setToken(text) {
  token = text;
  sessionStorage.setItem("evapd-token", text);
}

export function tokenProtocols() {
  return token ? ["evapd.1", `evapd.token.${token}`] : ["evapd.1"];
}

// A token may come behind the # of the address, which a browser never sends; it leaves the address bar at once.
export function takeTokenFromAddress() {
  const found = /[#&]token=([^&]+)/.exec(location.hash);
  if (found) {
    setToken(decodeURIComponent(found[1]));
    history.replaceState(null, "", location.pathname);
  }
}

export class Refused extends Error {
  constructor(status, kind, message) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

async function send(path, options) {
  const headers = { ...(options.headers || {}) };
  if (token) headers.Authorization = `Bearer ${token}`;
  try {
    return await fetch(path, { ...options, headers, cache: "no-store", signal: AbortSignal.timeout(8000) });
  } catch {
    throw new Refused(0, "Unreachable", "the display's server does not answer");
  }
}

async function ask(path, options = {}) {
  const answer = await send(path, options);
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok || body.ok === false) {
    throw new Refused(answer.status, body.error?.kind ?? "", body.error?.message ?? `the server answered ${answer.status}`);
  }
  return body;
}

export const session = () => ask("/api/session");
export const runs = () => ask("/api/runs");

// The points that the server has kept: a head of JSON, then positions, then places in the legend.
export async function points() {
  const answer = await send("/api/points", {});
  if (!answer.ok) throw new Refused(answer.status, "", `the server answered ${answer.status}`);
  const bytes = await answer.arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const at = 4 + length;
  return { ...head, xyz: new Float32Array(bytes, at, 3 * head.n), ion: new Uint8Array(bytes, at + 12 * head.n, head.n) };
}

export async function command(cmd, args = {}) {
  const answer = await ask("/api/command", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ cmd, args }),
  });
  return answer.result;
}
