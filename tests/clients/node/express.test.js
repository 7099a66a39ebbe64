// What an application with `@azure/web-pubsub-express` sees of a server whose webhooks lead to it.
//
// Started by `../run`, which names the program in PROGRAM. The application is there first, and the server is one of its own.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";
import WebSocket from "ws";

const JSON_V1 = "json.webpubsub.azure.v1";
const KEY = "a key that only the tests of Folkmoot know";
const DEADLINE = 20_000;

let server;
let address;
let data;
let listener;
let application;
const open = new Set();

/** What was told, in its order, and who waits for it. */
const told = [];
let wake = () => {};

function tell(event, request) {
  told.push({ event, ...request });
  wake();
}

async function until(found, what) {
  const late = Date.now() + DEADLINE;
  for (;;) {
    const result = found();
    if (result !== undefined) return result;
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what} did not come: ${JSON.stringify(told)}`)), late - Date.now());
      wake = () => resolve(clearTimeout(timer));
    });
  }
}

const toldOf = (id, event) =>
  until(() => told.find((one) => one.event === event && one.context.connectionId === id), event);

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function token(claims) {
  const now = Math.floor(Date.now() / 1000);
  const all = { aud: `http://${address}/client/hubs/Chat`, iat: now, exp: now + 3600, ...claims };
  const signed = `${base64({ alg: "HS256", typ: "JWT" })}.${base64(all)}`;
  return `${signed}.${createHmac("sha256", KEY).update(signed).digest("base64url")}`;
}

class Client {
  #frames = [];
  #wake = () => {};

  constructor(claims, { subprotocols = [JSON_V1], query = "" } = {}) {
    const url = `ws://${address}/client/hubs/Chat?access_token=${token(claims)}${query}`;
    this.socket = new WebSocket(url, subprotocols, { handshakeTimeout: DEADLINE });
    open.add(this.socket);
    this.closed = new Promise((resolve) => this.socket.once("close", resolve));
    this.socket.on("message", (data, binary) => {
      this.#frames.push(binary ? data : data.toString());
      this.#wake();
    });
  }

  static async connect(claims, options) {
    const client = new Client(claims, options);
    await once(client.socket, "open");
    if (client.socket.protocol === JSON_V1) client.connected = await client.frame();
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

  async frame() {
    return JSON.parse(await this.read());
  }

  send(fields) {
    this.socket.send(JSON.stringify(fields));
  }
}

before(async () => {
  const handler = new WebPubSubEventHandler("chat", {
    path: "/api/webhooks/chat",
    handleConnect(request, response) {
      tell("connect", request);
      if (request.queries?.refuse) return response.fail(401, "a secret of the application");
      response.setState("visits", 1);
      if (!request.context.userId) return response.success();
      response.success({
        userId: `${request.context.userId}!`,
        groups: ["lobby"],
        roles: ["webpubsub.sendToGroup", "webpubsub.joinLeaveGroup"],
        subprotocol: request.subprotocols?.[0],
      });
    },
    handleUserEvent(request, response) {
      tell("event", request);
      switch (request.context.eventName) {
        case "echo":
          return response.success(request.dataType === "json" ? JSON.stringify(request.data) : request.data, request.dataType);
        case "count":
          response.setState("visits", request.context.states.visits + 1);
          return response.success(String(request.context.states.visits), "text");
        case "message":
          return request.data === "fail" ? response.fail(500, "no") : response.success(`Hey ${request.data}`, "text");
        case "fail":
          return response.fail(500, "no");
        default:
          return response.success();
      }
    },
    onConnected: (request) => tell("connected", request),
    onDisconnected: (request) => tell("disconnected", request),
    onGroupJoined: (request) => tell("joined", request),
    onGroupLeft: (request) => tell("left", request),
  });
  const app = express();
  app.use(handler.getMiddleware());
  listener = app.listen(0, "127.0.0.1");
  await once(listener, "listening");
  application = `http://127.0.0.1:${listener.address().port}`;

  data = await mkdtemp(join(tmpdir(), "folkmoot-"));
  const webhooks = [
    {
      url: `${application}/api/webhooks/{hub}/{event}`,
      system_events: ["connect", "connected", "disconnected", "joined", "left"],
      user_events: "*",
    },
  ];
  const settings = {
    "server.port": 0,
    data_dir: join(data, "data"),
    "auth.access_keys": KEY,
    "hubs.declared.chat.webhooks": JSON.stringify(webhooks),
  };
  const flags = Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
  server = spawn(process.env.PROGRAM, flags, { cwd: data, stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  address = await new Promise((resolve, reject) => {
    server.once("exit", (status) => reject(new Error(`the server ended with ${status}`)));
    server.stdout.on("data", (text) => {
      printed += text;
      const found = /ws:\/\/([^/]*)\/ws/.exec(printed);
      if (found) resolve(found[1]);
    });
  });
});

after(async () => {
  for (const socket of open) socket.on("error", () => {}).terminate();
  if (server && server.exitCode === null) {
    server.kill("SIGTERM");
    const [status] = await once(server, "exit");
    assert.equal(status, 0);
  }
  listener?.close();
  listener?.closeAllConnections();
  if (data) await rm(data, { recursive: true });
});

test("connect: the application names the user, the groups, the roles and a state", async () => {
  const client = await Client.connect({ sub: "mark", team: "red" }, { query: "&x=1" });
  assert.equal(client.connected.userId, "mark!");
  assert.deepEqual(client.connected.groups, ["lobby"]);
  const id = client.connected.connectionId;
  const asked = await toldOf(id, "connect");
  assert.equal(asked.context.userId, "mark");
  assert.equal(asked.context.hub, "chat");
  assert.equal(asked.context.eventName, "connect");
  assert.equal(asked.context.clientProtocol, "default");
  assert.deepEqual(asked.claims.team, ["red"]);
  assert.deepEqual(asked.queries, { x: ["1"] });
  assert.deepEqual(asked.subprotocols, [JSON_V1]);
  assert.equal(asked.context.signature, `sha256=${createHmac("sha256", KEY).update(id).digest("hex")}`);
  client.send({ type: "sendToGroup", group: "lobby", dataType: "text", data: "hello", ackId: 1 });
  assert.equal((await client.frame()).fromUserId, "mark!");
  assert.equal((await client.frame()).success, true);
});

test("connected, joined, left and disconnected are told in their order, with the state", async () => {
  const client = await Client.connect({ sub: "anna" });
  const id = client.connected.connectionId;
  client.send({ type: "joinGroup", group: "sales/europe", ackId: 1 });
  assert.equal((await client.frame()).success, true);
  client.send({ type: "leaveGroup", group: "sales/europe", ackId: 2 });
  assert.equal((await client.frame()).success, true);
  client.socket.close(1000);
  const gone = await toldOf(id, "disconnected");
  assert.equal(gone.reason, "closed by the client");
  const all = told.filter((one) => one.context.connectionId === id);
  assert.deepEqual(
    all.map(({ event, group }) => [event, group]),
    [
      ["connect", undefined],
      ["connected", undefined],
      ["joined", "lobby"],
      ["joined", "sales/europe"],
      ["left", "sales/europe"],
      ["left", "lobby"],
      ["disconnected", undefined],
    ],
  );
  for (const one of all.slice(1)) assert.deepEqual(one.context.states, { visits: 1 });
  for (const one of all.slice(1)) assert.equal(one.context.userId, "anna!");
});

test("a refused connect is answered with the application's status and not its words", async () => {
  const { socket } = new Client({ sub: "mark" }, { query: "&refuse=1" });
  socket.on("error", () => {});
  const [, response] = await once(socket, "unexpected-response");
  assert.equal(response.statusCode, 401);
  const body = (await response.toArray()).join("");
  assert.ok(!body.includes("secret"), body);
});

test("events are answered, text, JSON and binary, before their ack", async () => {
  const client = await Client.connect({ sub: "ines" });
  const data = { text: "hé", json: { a: [1, null] }, binary: "AP8=" };
  let ackId = 0;
  for (const dataType of ["text", "json", "binary"]) {
    ackId += 1;
    client.send({ type: "event", event: "echo", dataType, data: data[dataType], ackId });
    assert.deepEqual(await client.frame(), { type: "message", from: "server", dataType, data: data[dataType] });
    assert.deepEqual(await client.frame(), { type: "ack", ackId, success: true });
  }
});

test("a state that an event sets is there at the next", async () => {
  const client = await Client.connect({ sub: "kenji" });
  for (const visits of ["2", "3"]) {
    client.send({ type: "event", event: "count", dataType: "text", data: "" });
    assert.equal((await client.frame()).data, visits);
  }
});

test("an event that fails is refused, and one without an answer acked", async () => {
  const client = await Client.connect({ sub: "mark" });
  client.send({ type: "event", event: "fail", data: 1, ackId: 1 });
  assert.equal((await client.frame()).error.name, "InternalServerError");
  client.send({ type: "event", event: "quiet", data: 1, ackId: 2 });
  assert.deepEqual(await client.frame(), { type: "ack", ackId: 2, success: true });
});

test("a raw client talks with the application, and is closed with 1011 when that fails", async () => {
  const client = await Client.connect({}, { subprotocols: [], query: "&webpubsub_mode=sendEvent" });
  client.socket.send("you");
  assert.equal(await client.read(), "Hey you");
  client.socket.send("fail");
  assert.equal(await client.closed, 1011);
});

test("the application agrees to a subprotocol that the server does not know", async () => {
  const client = await Client.connect({ sub: "mark" }, { subprotocols: ["own.chat.v1"], query: "&webpubsub_mode=sendEvent" });
  assert.equal(client.socket.protocol, "own.chat.v1");
  client.socket.send("you");
  assert.equal(await client.read(), "Hey you");
});
