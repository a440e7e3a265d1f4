// How often something dear is drawn: a slow computer draws it less often, and goes on obeying clicks, ABORT first of all.

export class Pace {
  // Draw every `everyMs` at most, and rest `rest` times as long as drawing took.
  constructor(everyMs, rest) {
    this.everyMs = everyMs;
    this.rest = rest;
    this.due = 0;
    this.busy = false;
  }

  // The next one is drawn at once.
  hurry() {
    this.due = 0;
  }

  async draw(work) {
    if (this.busy || document.hidden || performance.now() < this.due) return;
    const begun = performance.now();
    this.busy = true;
    try {
      await work();
    } finally {
      this.busy = false;
      const took = performance.now() - begun;
      this.due = begun + Math.max(this.everyMs, (1 + this.rest) * took);
    }
  }
}
