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
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`, tokenProtocols());
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.tries = 0;
      this.onState(true);
    };
    socket.onmessage = (message) => this.#take(message.data);
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
