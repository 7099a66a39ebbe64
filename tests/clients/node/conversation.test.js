// What a Node program that uses the package `ws` sees of a server with the demo of `config.yaml`.
//
// Started by `../run`, which names the server in SERVER (as host:port).

import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, test } from "node:test";
import WebSocket from "ws";

const SERVER = process.env.SERVER;
const JSON_V1 = "json.webpubsub.azure.v1";
const DEADLINE = 10_000;

const open = new Set();

afterEach(() => {
  for (const socket of open) socket.terminate();
  open.clear();
});

/** One connection: what it asks, and the frames it reads in their order. */
class Client {
  #frames = [];
  #wake = () => {};
  #acks = 0;

  constructor({ login, password = login?.replace("user", "password"), path = "/ws", subprotocols = [JSON_V1], ...options }) {
    const auth = login && `${login}:${password}`;
    this.socket = new WebSocket(`ws://${SERVER}${path}`, subprotocols, { auth, handshakeTimeout: DEADLINE, ...options });
    open.add(this.socket);
    this.socket.on("message", (data, binary) => {
      this.#frames.push(binary ? data : data.toString());
      this.#wake();
    });
  }

  /** A connection whose handshake is over; on the JSON subprotocol with `connected` read. */
  static async connect(login, options = {}) {
    const client = new Client({ login, ...options });
    await once(client.socket, "open");
    if (client.socket.protocol === JSON_V1) client.connected = await client.frame();
    return client;
  }

  static async member(login, group) {
    const client = await Client.connect(login);
    assert.equal((await client.ask({ type: "joinGroup", group })).success, true);
    return client;
  }

  async read() {
    const late = Date.now() + DEADLINE;
    while (this.#frames.length === 0) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("no frame came")), late - Date.now());
        this.#wake = () => resolve(clearTimeout(timer));
      });
    }
    return this.#frames.shift();
  }

  /** The next frame, announcements included. */
  async frame() {
    return JSON.parse(await this.read());
  }

  /** The next frame that is no announcement. */
  async answer() {
    let frame;
    do frame = await this.frame();
    while ("announcement" in frame);
    return frame;
  }

  /** Reads up to this announcement; anything else on the way is a mistake. */
  async announced(text) {
    for (;;) {
      const frame = await this.frame();
      assert.ok("announcement" in frame, JSON.stringify(frame));
      if (frame.data === text) return frame;
    }
  }

  send(fields) {
    this.socket.send(JSON.stringify(fields));
  }

  /** Sends a request and returns its ack, which must be the next answer. */
  async ask(fields) {
    const ackId = ++this.#acks;
    this.send({ ackId, ...fields });
    const ack = await this.answer();
    assert.equal(ack.type, "ack");
    assert.equal(ack.ackId, ackId);
    return ack;
  }

  /** Nothing stands before the answer to a ping that is sent now. */
  async hearsNothing() {
    this.send({ type: "ping" });
    assert.deepEqual(await this.answer(), { type: "pong" });
  }
}

/** The status of a handshake that must not succeed. */
async function refusal(options) {
  const { socket } = new Client(options);
  socket.on("error", () => {});
  const [, response] = await once(socket, "unexpected-response");
  return response;
}

test("the first frame tells who is connected and where", async () => {
  const { connected } = await Client.connect("user-2");
  assert.equal(connected.event, "connected");
  assert.equal(connected.userId, "user-2");
  assert.deepEqual(connected.groups, ["sales/europe"]);
});

test("members are told who comes and who goes", async () => {
  const mark = await Client.member("user-1", "node/hall");
  await mark.announced("Mark has logged in.");
  const kenji = await Client.member("user-3", "node/hall");
  const joined = await mark.announced("Kenji has logged in.");
  assert.equal(joined.announcement.event, "joined");
  assert.equal(joined.from, "group");
  kenji.socket.close();
  await mark.announced("Kenji has disconnected.");
});

test("a publish to a mask reaches each member of a matching group once", async () => {
  const anna = await Client.member("user-2", "node/mask/a");
  assert.equal((await anna.ask({ type: "joinGroup", group: "node/mask/b" })).success, true);
  const mark = await Client.connect("user-1");
  const ack = await mark.ask({ type: "sendToGroup", group: "node/mask/[ab]", dataType: "json", data: { n: 1 } });
  assert.equal(ack.success, true);
  const message = await anna.answer();
  assert.equal(message.fromUserId, "user-1");
  assert.equal(message.group, "node/mask/a");
  assert.deepEqual(message.data, { n: 1 });
  await anna.hearsNothing();
});

test("a listener of a mask hears groups that come later", async () => {
  const anna = await Client.member("user-2", "node/later/*");
  const mark = await Client.member("user-1", "node/later/new");
  await mark.ask({ type: "sendToGroup", group: "node/later/new", dataType: "text", data: "x", noEcho: true });
  assert.equal((await anna.answer()).group, "node/later/new");
});

test("a sender does not hear itself with noEcho", async () => {
  const mark = await Client.member("user-1", "node/echo");
  mark.send({ type: "sendToGroup", group: "node/echo", dataType: "text", data: "x" });
  assert.equal((await mark.answer()).data, "x");
  mark.send({ type: "sendToGroup", group: "node/echo", dataType: "text", data: "y", noEcho: true });
  await mark.hearsNothing();
});

test("a group that must exist and does not is not found", async () => {
  const mark = await Client.connect("user-1");
  const request = { type: "sendToGroup", group: "node/nobody", dataType: "text", data: "x", mustExist: true };
  const ack = await mark.ask(request);
  assert.equal(ack.success, false);
  assert.equal(ack.error.name, "NotFound");
});

test("binary data reaches json clients as base64 and raw clients as it is", async () => {
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, n) => n % 256));
  const anna = await Client.member("user-2", "sales/asia");
  const raw = await Client.connect("user-3", { subprotocols: [] });
  assert.equal(raw.socket.protocol, "");
  raw.socket.send(bytes);
  const message = await anna.answer();
  assert.equal(message.dataType, "binary");
  assert.ok(Buffer.from(message.data, "base64").equals(bytes));
  // The texts before it are announcements.
  let heard;
  do heard = await raw.read();
  while (typeof heard === "string");
  assert.ok(heard.equals(bytes));
});

test("a message may come in fragments with a ping between them", async () => {
  const mark = await Client.connect("user-1");
  mark.socket.send('{"type":', { fin: false });
  mark.socket.ping("between");
  mark.socket.send('"ping"}', { fin: true });
  const [payload] = await once(mark.socket, "pong");
  assert.equal(payload.toString(), "between");
  assert.deepEqual(await mark.answer(), { type: "pong" });
});

test("offered permessage-deflate is declined, small and large messages pass", async () => {
  const deflate = { perMessageDeflate: { threshold: 0 } };
  const mark = await Client.connect("user-1", deflate);
  assert.equal(mark.socket.extensions, "");
  const anna = await Client.member("user-2", "node/large");
  for (const length of [1, 125, 126, 65_535, 65_536, 900_000]) {
    mark.send({ type: "sendToGroup", group: "node/large", dataType: "text", data: "x".repeat(length) });
    assert.equal((await anna.answer()).data.length, length);
  }
});

test("a close is answered with its code", async () => {
  for (const code of [1000, 1001, 3000, 4999]) {
    const { socket } = await Client.connect("user-1");
    socket.close(code, "done");
    const [answered] = await once(socket, "close");
    assert.equal(answered, code);
  }
});

test("each mistake has its close code and a reason", async () => {
  for (const [frame, expected] of [["{", 1007], [Buffer.from("{}"), 1003], ["x".repeat(2 ** 20 + 1), 1009]]) {
    const { socket } = await Client.connect("user-1");
    socket.on("error", () => {});
    socket.send(frame);
    const [code, reason] = await once(socket, "close");
    assert.equal(code, expected);
    assert.ok(reason.length > 0);
  }
});

test("whoever cannot prove who they are is refused with 401", async () => {
  for (const login of [{ login: "user-1", password: "wrong" }, { login: "nobody", password: "x" }, {}]) {
    const response = await refusal(login);
    assert.equal(response.statusCode, 401);
    assert.match(response.headers["www-authenticate"], /^Basic realm="folkmoot"/);
  }
});

test("a foreign origin is refused with 403", async () => {
  assert.equal((await refusal({ login: "user-1", origin: "https://elsewhere.example" })).statusCode, 403);
});

test("an unknown subprotocol is not confirmed", async () => {
  const { socket } = new Client({ login: "user-1", subprotocols: ["soap"] });
  const [error] = await once(socket, "error");
  assert.match(error.message, /no subprotocol/);
});

test("a token opens a connection where no header can be sent", async () => {
  const Authorization = `Basic ${Buffer.from("user-4:password-4").toString("base64")}`;
  const answer = await fetch(`http://${SERVER}/auth/token`, { method: "POST", headers: { Authorization } });
  const { token } = await answer.json();
  const ines = await Client.connect(undefined, { path: `/ws?access_token=${token}` });
  assert.equal(ines.connected.userId, "user-4");
  assert.deepEqual([...ines.connected.groups].sort(), ["accounting", "admin"]);
});
