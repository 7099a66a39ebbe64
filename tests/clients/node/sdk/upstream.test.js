// Clients of the SDK with an application behind the server, which is told and asked as a webhook.
//
// The server is one of this file's own, because its configuration names the application's port.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, afterEach, before, describe, test } from "node:test";
import { cleanUp, Client, CLIENT_SDKS, eventually, Proxy, Server } from "./support.js";

const ANY = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

/** What the application was told: the headers and the body of each request, in their order. */
const told = [];
let application, server;

/** What the application says to each event of a user: a status, a type and a body. */
function answer(event, contentType, body) {
  switch (event) {
    case "echo":
      return [200, contentType, body];
    case "quiet":
      return [204];
    default:
      return [500];
  }
}

before(async () => {
  application = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    if (request.method === "OPTIONS") return response.writeHead(200, { "WebHook-Allowed-Origin": "*" }).end();
    told.push({ headers: request.headers, body: body.toString() });
    if (request.headers["ce-type"] === "azure.webpubsub.sys.connect")
      return response.writeHead(204, { "ce-connectionState": "c3RhdGU=" }).end();
    if (!request.headers["ce-type"].startsWith("azure.webpubsub.user.")) return response.writeHead(204).end();
    const [status, type, text] = answer(request.headers["ce-eventname"], request.headers["content-type"], body);
    response.writeHead(status, type && { "Content-Type": type }).end(text);
  });
  application.listen(0, "127.0.0.1");
  await once(application, "listening");

  const webhook = {
    url: `http://127.0.0.1:${application.address().port}/{hub}/{event}`,
    system_events: ["connect", "connected", "disconnected"],
    user_events: "*",
  };
  server = await Server.start({ "hubs.declared.upstream.webhooks": JSON.stringify([webhook]) });
});

afterEach(cleanUp);

after(async () => {
  await server.remove();
  application.closeAllConnections();
  application.close();
});

/** What the application was told of one connection. */
function eventsOf(id) {
  return told
    .filter(({ headers }) => headers["ce-connectionid"] === id)
    .map(({ headers }) => headers["ce-type"].split(".").slice(2).join("."));
}

for (const [version, sdk] of Object.entries(CLIENT_SDKS)) describe(version, () => suite(sdk));

function suite(sdk) {
  const connect = (options) =>
    Client.connect(sdk, "upstream", { through: server, userId: "mark", roles: ANY, ...options });

  test("an event is answered by the application before it is acked", async () => {
    const mark = await connect();
    const bytes = Uint8Array.from([0, 1, 254, 255]);
    await mark.sdk.sendEvent("echo", "Hé, 日本!", "text");
    assert.deepEqual(
      mark.messages.map(({ data }) => data),
      ["Hé, 日本!"],
    );
    await mark.sdk.sendEvent("echo", { a: [1, 2.5] }, "json");
    await mark.sdk.sendEvent("echo", bytes.buffer, "binary");
    await mark.sdk.sendEvent("echo", "without an ack", "text", { fireAndForget: true });
    const heard = await mark.heard(4);
    assert.deepEqual(
      heard.map(({ kind }) => kind),
      Array(4).fill("serverData"),
    );
    assert.deepEqual(
      heard.map(({ dataType }) => dataType),
      ["text", "json", "binary", "text"],
    );
    assert.deepEqual(heard[1].data, { a: [1, 2.5] });
    assert.deepEqual(new Uint8Array(heard[2].data), bytes);
    const types = told.filter(
      ({ headers }) => headers["ce-connectionid"] === mark.id && headers["ce-type"] === "azure.webpubsub.user.echo",
    );
    const contentTypes = types.map(({ headers }) => headers["content-type"].split(";")[0]);
    assert.deepEqual(contentTypes, ["text/plain", "application/json", "application/octet-stream", "text/plain"]);
  });

  test("an event that the application says nothing to is acked, and one that it fails is an error", async () => {
    const mark = await connect();
    assert.equal((await mark.sdk.sendEvent("quiet", 1, "json")).isDuplicated, false);
    await assert.rejects(
      mark.sdk.sendEvent("fail", 1, "json"),
      ({ errorDetail }) => errorDetail.name === "InternalServerError",
    );
    assert.equal(mark.messages.length, 0);
    assert.equal(mark.disconnections.length, 0);
  });

  test("the application is told of one connection, however often it is recovered, and its state is kept", async () => {
    const proxy = await Proxy.start(server.endpoint);
    const mark = await connect({ through: proxy });
    const { id } = mark;
    for (let cuts = 0; cuts < 3; cuts++) {
      const wires = proxy.accepted;
      proxy.cut();
      await eventually(() => proxy.accepted > wires, "the SDK comes back");
      await mark.isBack();
    }
    assert.equal(mark.connections.length, 1);
    mark.sdk.stop();
    await eventually(() => eventsOf(id).includes("sys.disconnected"), "the end");
    const lives = eventsOf(id).filter((event) => event.startsWith("sys."));
    assert.deepEqual(lives, ["sys.connect", "sys.connected", "sys.disconnected"]);
    const states = told
      .filter(({ headers }) => headers["ce-connectionid"] === id)
      .map(({ headers }) => headers["ce-connectionstate"]);
    assert.deepEqual(new Set(states.slice(1)), new Set(["c3RhdGU="]));
  });
}
