// Waits that end together: whatever a session still waits for is over when the session is.

export class Waits {
  #timers = new Set();
  #over = new AbortController();

  get over() {
    return this.#over.signal.aborted;
  }

  /** Ends all of them. Timers do not run any more, requests are aborted, those who wait for the end are told. */
  end() {
    this.#over.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  onEnd(run) {
    this.#over.signal.addEventListener("abort", run);
  }

  after(ms, run) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  pause(ms) {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** A signal for a request that may take so long: TimeoutError when it takes longer, AbortError at the end. */
  within(ms) {
    const limit = new AbortController();
    this.after(ms, () => limit.abort(new DOMException("too late", "TimeoutError")));
    this.onEnd(() => limit.abort());
    return limit.signal;
  }
}
