// How often something dear is drawn: a slow computer draws it less often, and goes on obeying clicks, ABORT first of all.

// Dear drawings take turns, each behind a picture that has gone to the screen: the numbers and the map of a document are
// shown before its plots are drawn.
let turns = Promise.resolve();

function inTurn(work) {
  const mine = turns.then(painted).then(work);
  turns = mine.catch(() => {}); // whose work failed is told by its own caller
  return mine;
}

function painted() {
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

export class Pace {
  // Draw every `everyMs` at most, and rest `rest` times as long as drawing took.
  constructor(everyMs, rest) {
    this.everyMs = everyMs;
    this.rest = rest;
    this.due = 0;
    this.busy = false;
    this.hurried = false;
  }

  // The next one is drawn at once.
  hurry() {
    this.due = 0;
    this.hurried = this.busy;
  }

  async draw(work) {
    if (this.busy || document.hidden || performance.now() < this.due) return;
    let begun = 0;
    this.busy = true;
    try {
      await inTurn(() => {
        [begun, this.hurried] = [performance.now(), false];
        return work();
      });
    } finally {
      this.busy = false;
      this.due = this.hurried ? 0 : begun + Math.max(this.everyMs, (1 + this.rest) * (performance.now() - begun));
    }
    if (this.hurried) this.draw(work);
  }
}
