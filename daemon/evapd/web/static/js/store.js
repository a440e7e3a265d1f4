// What is known, how old it is, and who wants to hear of it. Panels read from here and hold nothing that matters.

const EVENTS_KEPT = 500;
export const STALE_MS = 2000;

export class Store {
  constructor() {
    this.viewer = { name: "", role: "read", title: "evapd" };
    this.live = null;
    this.slow = null;
    this.events = [];
    this.connected = false;
    this.daemon = { present: false, silent_s: null };
    this.at = {}; // when each kind came, by performance.now()
    this.listeners = new Map();
  }

  // Call `listener(data, store)` whenever something of that kind came; kind "tick" comes four times a second.
  on(kind, listener) {
    if (!this.listeners.has(kind)) this.listeners.set(kind, []);
    this.listeners.get(kind).push(listener);
  }

  take(kind, data) {
    this.at[kind] = performance.now();
    if (kind === "event") {
      const known = this.events.some((one) => one.seq === data.seq && one.instance === data.instance);
      if (known) return;
      this.events.push(data);
      if (this.events.length > EVENTS_KEPT) this.events.shift();
    } else if (kind === "hello") {
      this.viewer = data;
    } else {
      this[kind] = data;
    }
    this.tell(kind, data);
  }

  tell(kind, data) {
    for (const listener of this.listeners.get(kind) || []) {
      try {
        listener(data, this);
      } catch (error) {
        console.error(`the panel for ${kind} failed`, error); // one panel's fault leaves the others alive
      }
    }
  }

  ageMs(kind) {
    return this.at[kind] === undefined ? Infinity : performance.now() - this.at[kind];
  }

  get stale() {
    return !this.connected || !this.daemon.present || this.ageMs("live") > STALE_MS;
  }

  get mayOperate() {
    return this.viewer.role === "operate";
  }
}
