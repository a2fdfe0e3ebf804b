// Headless Chromium with a fake camera, and the pages of an app that is made of the samples of docs/clients.md.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { YOURS } from './app.mjs';
import { userToken } from './people.mjs';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  // A machine may have no other interface than this one.
  '--allow-loopback-in-peer-connection',
];
const CLIENT = new URL('../../node_modules/socket.io-client/dist/socket.io.esm.min.js', import.meta.url);

const pageOf = (samples) => `<!doctype html>
<title>an app</title>
${samples.html}
<video id="other" autoplay muted playsinline></video>
<script type="module">
  import start from './${samples.name}';
  window.begin = (names, gateway, token) => {
    const calls = [];
    const record = (name) => [name, (...args) => void calls.push([name, ...args])];
    const yours = { ...Object.fromEntries(names.map(record)), gateway, freshToken: async () => token };
    window.app = { calls, ...start(yours) };
  };
  window.newPeer = async () => {
    const peer = new RTCPeerConnection();
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 64, height: 48 }, audio: true });
    for (const track of stream.getTracks()) peer.addTrack(track, stream);
    peer.ontrack = ({ streams: [first] }) => { if (first) document.querySelector('#other').srcObject = first; };
    window.peer = peer;
    return peer;
  };
</script>`;

/** A browser for the tests around the call. Its pages are of one origin, whose web server is not the gateway. */
export function useBrowser(stack, samples) {
  const browser = new Browser(stack, samples);
  before(() => browser.open());
  after(() => browser.close());
  return browser;
}

class Browser {
  #stack;
  #samples;
  #server;
  #chromium;
  #pages = new Set();
  /** What went wrong in any page without being handled, or was shown to its user. */
  errors = [];

  constructor(stack, samples) {
    this.#stack = stack;
    this.#samples = samples;
  }

  async open() {
    const files = {
      '/': ['text/html', pageOf(this.#samples)],
      [`/${this.#samples.name}`]: ['text/javascript', this.#samples.source],
      '/socket.io.esm.min.js': ['text/javascript', readFileSync(CLIENT)],
    };
    this.#server = createServer((request, response) => {
      const [type, content] = files[request.url] ?? ['text/plain', ''];
      response.writeHead(content ? 200 : 404, { 'content-type': type }).end(content);
    });
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#chromium = await chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
  }

  /** A page of a user, connected. */
  async page(user, { gateway = 0 } = {}) {
    const context = await this.#chromium.newContext();
    const page = await context.newPage();
    page.on('pageerror', (error) => this.errors.push(error));
    await page.coverage.startJSCoverage({ resetOnNavigation: false });
    this.#pages.add(page);
    page.begin = async () => {
      await page.goto(`http://localhost:${this.#server.address().port}/`);
      const token = userToken(this.#stack, user);
      await page.evaluate((args) => window.begin(...args), [YOURS, this.#stack.url(gateway), token]);
      await page.waitForFunction(() => window.app.socket.connected);
    };
    await page.begin();
    return page;
  }

  /** Closes pages, all unless some are given, after taking note of which samples they have run. */
  async leave(pages = [...this.#pages]) {
    for (const page of pages) {
      this.#pages.delete(page);
      const problems = () => app.calls.filter(([name]) => name === 'showProblem').map(String);
      this.errors.push(...(await page.evaluate(problems)));
      this.#samples.record(await page.coverage.stopJSCoverage());
      await page.context().close();
    }
  }

  async close() {
    await this.#chromium?.close();
    this.#server?.close();
    this.#server?.closeAllConnections();
  }
}
