// What the suites with the Web PubSub SDKs share: clients that keep what they hear, service clients, a small TCP proxy
// whose wires can be cut, tokens made by hand, plain WebSockets.
//
// `../../run` starts the server and names it in WebPubSubConnectionString, as a back end gets it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import * as current from "@azure/web-pubsub-client";
import * as next from "web-pubsub-client-next";
import WebSocket from "ws";

/** For each wait, which is far more than anything takes: a test that hangs fails by it. */
export const DEADLINE = 30_000;

/** The versions of the client SDK that are tested: the newest that npm gives Node 20, and the newest. */
export const CLIENT_SDKS = { "client 1.0.4": current, "client 1.1.0": next };

export const CONNECTION_STRING = process.env.WebPubSubConnectionString;
const [, ENDPOINT, KEY] = /^Endpoint=(.*?);AccessKey=(.*?);/.exec(CONNECTION_STRING);
export { ENDPOINT, KEY };

const cleanups = [];

/** Ends what a test has opened. For `afterEach`. */
export async function cleanUp() {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

let hubs = 0;

/** The name of a hub that no other test uses. */
export function newHub() {
  return `node_${process.pid}_${++hubs}`;
}

/** Waits until `look` gives something that is true, and returns it. */
export async function eventually(look, what = look) {
  const late = Date.now() + DEADLINE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > late) throw new Error(`never came: ${what}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

/** The SDK of back ends, for the server or for a proxy in front of it. Nothing is tried again: a failure is to be seen. */
export function service(hub, { connectionString = CONNECTION_STRING, ...options } = {}) {
  const settings = { allowInsecureConnection: true, retryOptions: { maxRetries: 0 }, ...options };
  return new WebPubSubServiceClient(connectionString, hub, settings);
}

/** A client of the SDK with all that its application is told. */
export class Client {
  messages = [];
  connections = [];
  disconnections = [];
  stops = 0;
  failedJoins = [];

  constructor(sdk, credential, { protocol, ...options } = {}) {
    const settings = {
      messageRetryOptions: { maxRetries: 1, retryDelayInMs: 50 },
      reconnectRetryOptions: { retryDelayInMs: 50 },
    };
    if (protocol === "plain") settings.protocol = sdk.WebPubSubJsonProtocol();
    if (protocol === "reliable") settings.protocol = sdk.WebPubSubJsonReliableProtocol();
    this.sdk = new sdk.WebPubSubClient(credential, { ...settings, ...options });
    this.sdk.on("group-message", ({ message }) => this.messages.push(message));
    this.sdk.on("server-message", ({ message }) => this.messages.push(message));
    this.sdk.on("connected", (args) => this.connections.push(args));
    this.sdk.on("disconnected", (args) => this.disconnections.push(args));
    this.sdk.on("stopped", () => this.stops++);
    this.sdk.on("rejoin-group-failed", (args) => this.failedJoins.push(args));
    cleanups.push(() => this.sdk.stop());
  }

  /** A client that is connected. `through` is the proxy that it connects by. */
  static async connect(sdk, hub, { userId, roles, groups, through, ...options } = {}) {
    const tokens = service(hub, { connectionString: through?.connectionString });
    const getClientAccessUrl = async () => (await tokens.getClientAccessToken({ userId, roles, groups })).url;
    const client = new Client(sdk, { getClientAccessUrl }, options);
    await client.sdk.start();
    await eventually(() => client.connections.length > 0, "connected");
    return client;
  }

  get id() {
    return this.connections.at(-1).connectionId;
  }

  /** The data of the first `count` messages, once they are there. */
  async data(count) {
    return (await this.heard(count)).map((message) => message.data);
  }

  /** The first `count` messages, once they are there. More are a mistake. */
  async heard(count) {
    await eventually(() => this.messages.length >= count, `${count} messages, there are ${this.messages.length}`);
    assert.equal(this.messages.length, count, JSON.stringify(this.messages));
    return this.messages;
  }

  /** Waits for the message with this data, which comes after everything that was sent before it. */
  async hears(data) {
    await eventually(() => this.messages.some((message) => message.data === data), `"${data}"`);
  }

  /** Waits until it can send, after its wire was cut and it has come back. */
  async isBack() {
    const says = () =>
      this.sdk.sendEvent("here", "x", "text", { fireAndForget: true }).then(
        () => true,
        () => false,
      );
    await eventually(says, "the client is back");
  }

  forget() {
    this.messages.length = 0;
  }
}

/** A WebSocket without an SDK, with the frames that it has received. */
export class Socket {
  frames = [];

  constructor(url, subprotocols = []) {
    this.socket = new WebSocket(url, subprotocols, { handshakeTimeout: DEADLINE });
    this.socket.on("message", (data, binary) => this.frames.push(binary ? data : data.toString()));
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    cleanups.push(() => this.socket.terminate());
  }

  static async connect(hub, { query = "", subprotocols, ...token } = {}) {
    const { url } = await service(hub).getClientAccessToken(token);
    const client = new Socket(url + query, subprotocols);
    await once(client.socket, "open");
    return client;
  }

  /** The frame at this place, once it is there. */
  async frame(index) {
    await eventually(() => this.frames.length > index, `frame ${index}`);
    return this.frames[index];
  }
}

/** The status that a handshake is answered with. */
export async function handshake(url, subprotocols = ["json.webpubsub.azure.v1"]) {
  const { socket } = new Socket(url, subprotocols);
  return new Promise((resolve) => {
    socket.on("open", () => resolve(101));
    socket.on("unexpected-response", (_, response) => resolve(response.statusCode));
  });
}

/** A token made by hand, of which everything may be wrong. */
export function token(claims, { key = KEY, header = { alg: "HS256", typ: "JWT" } } = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part(header)}.${part(claims)}`;
  const signature = header.alg === "none" ? "" : createHmac("sha256", key).update(signed).digest("base64url");
  return `${signed}.${signature}`;
}

/** Seconds since 1970, some seconds from now. */
export function inSeconds(seconds) {
  return Math.floor(Date.now() / 1000) + seconds;
}

/** The URL of a client with a token made by hand. */
export function clientUrl(hub, claims, signing) {
  const base = `${ENDPOINT}/client/hubs/${hub}`;
  const signed = token({ aud: base, exp: inSeconds(60), ...claims }, signing);
  return `${base.replace("http", "ws")}?access_token=${signed}`;
}

/** A request to the HTTP API that the SDK has no method for. */
export async function rest(method, path, { headers, body } = {}) {
  const url = `${ENDPOINT}/api${path}`;
  const Authorization = `Bearer ${token({ aud: url, exp: inSeconds(60) })}`;
  return fetch(url, { method, headers: { Authorization, ...headers }, body, signal: AbortSignal.timeout(DEADLINE) });
}

/** A TCP proxy in front of the server, whose wires can be cut as a bad network does it. */
export class Proxy {
  #wires = new Set();
  #closed = false;
  /** How many wires there have been. */
  accepted = 0;

  static async start(endpoint = ENDPOINT, key = KEY) {
    const proxy = new Proxy();
    const { hostname, port } = new URL(endpoint);
    proxy.server = net.createServer((down) => proxy.#carry(down, net.connect(Number(port), hostname)));
    proxy.server.listen(0, "127.0.0.1");
    await once(proxy.server, "listening");
    proxy.port = proxy.server.address().port;
    proxy.connectionString = `Endpoint=http://127.0.0.1:${proxy.port};AccessKey=${key};Version=1.0;`;
    cleanups.push(() => proxy.#stop());
    return proxy;
  }

  #carry(down, up) {
    const wire = { down, up };
    for (const end of [down, up]) {
      end.setNoDelay(true);
      end.on("error", () => {});
    }
    if (this.#closed) return this.#drop(wire);
    this.accepted++;
    this.#wires.add(wire);
    down.pipe(up);
    up.pipe(down);
    down.on("close", () => up.destroy());
    up.on("close", () => down.destroy());
  }

  #drop({ down, up }) {
    down.resetAndDestroy();
    up.resetAndDestroy();
  }

  /** Resets all wires, with what is on the way. */
  cut() {
    for (const wire of this.#wires) this.#drop(wire);
    this.#wires.clear();
  }

  /** Resets the clients' ends only: the server goes on to write to sockets that nobody reads. */
  cutUnnoticed() {
    for (const { down, up } of this.#wires) {
      up.unpipe(down);
      down.removeAllListeners("close");
      down.unpipe(up);
      up.resume();
      down.resetAndDestroy();
      cleanups.push(() => up.destroy());
    }
    this.#wires.clear();
  }

  /** Cuts all wires, and lets no new one come. */
  close() {
    this.#closed = true;
    this.cut();
  }

  open() {
    this.#closed = false;
  }

  #stop() {
    this.close();
    this.server.close();
  }
}

/** A server of a test's own, for what needs another configuration, or an end. PROGRAM is the folkmoot that is started. */
export class Server {
  static async start(settings = {}) {
    const server = new Server();
    server.folder = await mkdtemp(join(tmpdir(), "folkmoot-"));
    server.settings = {
      "server.port": 0,
      "server.workers": 2,
      "log.level": "error",
      "auth.access_keys": KEY,
      ...settings,
    };
    await server.begin();
    return server;
  }

  async begin() {
    const flags = Object.entries(this.settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
    this.process = spawn(process.env.PROGRAM, flags, { cwd: this.folder, stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    this.process.stdout.on("data", (text) => (printed += text));
    const [, port] = await eventually(() => /ws:\/\/127\.0\.0\.1:(\d+)\/ws/.exec(printed), "the server has started");
    // Where it is begun again.
    this.settings["server.port"] = port;
    this.endpoint = `http://127.0.0.1:${port}`;
    this.connectionString = `Endpoint=${this.endpoint};AccessKey=${KEY};Version=1.0;`;
  }

  async end() {
    this.process.kill("SIGTERM");
    const [status] = await once(this.process, "exit");
    assert.equal(status, 0);
  }

  async remove() {
    await this.end();
    await rm(this.folder, { recursive: true });
  }
}
