// Answers to REST calls that are on their way for as long as a test wants.

/** Holds the first answer of a URL that `isMeant`, until `meanwhile` is done. `count` tells how many there were. */
export class HeldAnswer {
  count = 0;
  #own = globalThis.fetch;

  constructor(isMeant, meanwhile) {
    globalThis.fetch = async (url, options) => {
      const answer = await this.#own(url, options);
      if (!isMeant(String(url))) return answer;
      this.count += 1;
      if (this.count > 1) return answer;
      const text = await answer.text();
      await meanwhile();
      return new Response(text, answer);
    };
  }

  stop() {
    globalThis.fetch = this.#own;
  }
}
