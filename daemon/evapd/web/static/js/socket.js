// The connection to the server: opened again when it ends, and watched for silence.

import { tokenProtocols } from "./api.js";

const AGAIN_MS = [250, 500, 1000, 2000];

export class Feed {
  // `on` gets (kind, data) of every message; `onState` gets true when connected, false when not.
  constructor(on, onState) {
    this.on = on;
    this.onState = onState;
    this.tries = 0;
    this.decoder = new TextDecoder();
    // Of how everything stands only the newest counts: one that came while the page was busy is passed over, unread. Each that is
    // done with is told to the server, which gives no more than two ahead: what is shown is never older than they are.
    this.newest = null;
    this.turn = new MessageChannel(); // comes behind the messages that have arrived, and is not slowed in a hidden page as a timer is
    this.turn.port1.onmessage = () => {
      const { data, socket } = this.newest;
      this.newest = null;
      try {
        this.#take(data);
      } finally {
        seen(socket);
      }
    };
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`, tokenProtocols());
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.tries = 0;
      this.onState(true);
    };
    socket.onmessage = (message) => {
      if (!isLive(message.data)) {
        this.#take(message.data);
        return;
      }
      if (this.newest === null) this.turn.port2.postMessage(null);
      else seen(this.newest.socket);
      this.newest = { data: message.data, socket };
    };
    socket.onclose = () => {
      this.onState(false);
      const wait = AGAIN_MS[Math.min(this.tries, AGAIN_MS.length - 1)];
      this.tries += 1;
      setTimeout(() => this.open(), wait);
    };
  }

  #take(data) {
    let message;
    try {
      message = JSON.parse(this.decoder.decode(data));
    } catch {
      return; // not ours: the next message is whole again, and silence is shown as STALE
    }
    this.on(message.kind, message.data);
  }
}

function seen(socket) {
  if (socket.readyState === WebSocket.OPEN) socket.send("seen");
}

const LIVE = new TextEncoder().encode('{"kind":"live",');

function isLive(data) {
  const begin = new Uint8Array(data, 0, Math.min(LIVE.length, data.byteLength));
  return LIVE.every((byte, i) => begin[i] === byte);
}

// Arrays travel as base64 of little-endian bytes: {dtype, shape, data}.
const KINDS = {
  "<u1": Uint8Array, "|u1": Uint8Array, "<u2": Uint16Array, "<u4": Uint32Array, "<i2": Int16Array, "<i4": Int32Array,
  "<f4": Float32Array, "<f8": Float64Array,
};

export function array(packed) {
  const text = atob(packed.data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  const Kind = KINDS[packed.dtype];
  if (!Kind) throw new Error(`arrays of ${packed.dtype} are not known here`);
  return new Kind(bytes.buffer);
}
