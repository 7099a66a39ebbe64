// Whom tokens let in, at the WebSocket and at the HTTP API.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import {
  cleanUp,
  Client,
  CLIENT_SDKS,
  clientUrl,
  CONNECTION_STRING,
  ENDPOINT,
  eventually,
  handshake,
  inSeconds,
  KEY,
  newHub,
  service,
  Socket,
  token,
} from "./support.js";

const SECOND_KEY = "the-second-key-of-these-tests-0123456789";
const sdk = CLIENT_SDKS["client 1.0.4"];

afterEach(cleanUp);

/** Whether the SDK can start by this URL. */
async function starts(url) {
  const client = new Client(sdk, url, { autoReconnect: false });
  try {
    await client.sdk.start();
  } catch (error) {
    assert.match(error.message, /Unexpected server response: 401/);
    return false;
  }
  await eventually(() => client.connections.length === 1, "connected");
  return true;
}

test("a token under the first or the second key lets in", async () => {
  const hub = newHub();
  assert.ok(await starts(clientUrl(hub, {})));
  assert.ok(await starts(clientUrl(hub, {}, { key: SECOND_KEY })));
});

test("a token under another key, or under none, does not let in", async () => {
  const hub = newHub();
  assert.ok(!(await starts(clientUrl(hub, {}, { key: KEY + "x" }))));
  assert.ok(!(await starts(clientUrl(hub, {}, { header: { alg: "none", typ: "JWT" } }))));
  assert.ok(!(await starts(clientUrl(hub, {}, { header: { alg: "None" } }))));
  assert.ok(!(await starts(clientUrl(hub, {}, { header: { alg: "HS512" } }))));
});

test("a token that has expired, or is not valid yet, does not let in", async () => {
  const hub = newHub();
  assert.ok(!(await starts(clientUrl(hub, { exp: inSeconds(-10) }))));
  assert.ok(!(await starts(clientUrl(hub, { nbf: inSeconds(60) }))));
  assert.ok(!(await starts(clientUrl(hub, { exp: undefined }))));
});

test("a token is for its hub and its server", async () => {
  const [hub, other] = [newHub(), newHub()];
  assert.ok(!(await starts(clientUrl(hub, { aud: `${ENDPOINT}/client/hubs/${other}` }))));
  assert.ok(!(await starts(clientUrl(hub, { aud: `http://elsewhere.example/client/hubs/${hub}` }))));
  assert.ok(!(await starts(clientUrl(hub, { aud: `${ENDPOINT}/api/hubs/${hub}` }))));
  assert.ok(!(await starts(clientUrl(hub, { aud: undefined }))));
  // Hubs have no case, and the scheme says nothing about who is meant.
  assert.ok(await starts(clientUrl(hub, { aud: `${ENDPOINT}/client/hubs/${hub.toUpperCase()}` })));
  assert.ok(await starts(clientUrl(hub, { aud: `${ENDPOINT.replace("http", "wss")}/client/hubs/${hub}` })));
});

test("a server behind a proxy takes tokens for its public name", async () => {
  // The SDK speaks to one address, and signs for the other.
  const [, reverseProxyEndpoint] = /^Endpoint=(.*?);/.exec(process.env.ShortWindowConnectionString);
  const hub = newHub();
  const connectionString = `Endpoint=http://chat.example.com;AccessKey=${KEY};Version=1.0;`;
  const back = service(hub, { connectionString, reverseProxyEndpoint });
  const { url } = await back.getClientAccessToken({ userId: "mark", groups: ["a/ü"] });
  const mark = new Client(sdk, url.replace("ws://chat.example.com", reverseProxyEndpoint.replace("http", "ws")));
  await mark.sdk.start();
  await eventually(() => mark.connections.length === 1, "connected");
  await back.group("a/ü").sendToAll("x", { contentType: "text/plain" });
  assert.deepEqual(await mark.data(1), ["x"]);
  assert.equal(await back.userExists("mark"), true);

  const elsewhere = connectionString.replace("chat.example.com", "other.example.com");
  await assert.rejects(service(hub, { connectionString: elsewhere, reverseProxyEndpoint }).sendToAll("x"), {
    statusCode: 401,
  });
});

test("whoever has no token is let in only where a hub is open to anybody", async () => {
  assert.ok(!(await starts(`${ENDPOINT.replace("http", "ws")}/client/hubs/${newHub()}`)));
  assert.ok(await starts(`${ENDPOINT.replace("http", "ws")}/client/hubs/open`));
});

test("roles and groups may be one string or a list", async () => {
  const hub = newHub();
  for (const list of [(text) => text, (text) => [text]]) {
    const claims = { sub: "mark", role: list("webpubsub.sendToGroup.g"), "webpubsub.group": list("g") };
    const mark = new Client(sdk, clientUrl(hub, claims));
    await mark.sdk.start();
    await mark.sdk.sendToGroup("g", "x", "text");
    assert.deepEqual(await mark.data(1), ["x"]);
    mark.sdk.stop();
    await eventually(() => mark.stops === 1, "stopped");
  }
});

test("a group that cannot be one is 400, not 401", async () => {
  assert.equal(await handshake(clientUrl(newHub(), { "webpubsub.group": [" "] })), 400);
});

test("the token may stand in each place that the service takes it from", async () => {
  const hub = newHub();
  const { baseUrl, token: text } = await service(hub).getClientAccessToken({ userId: "mark" });
  const server = ENDPOINT.replace("http", "ws");
  assert.equal(await handshake(`${server}/client/?hub=${hub}&access_token=${text}`), 101);
  assert.equal(await handshake(`${server}/client?hub=${hub}&access_token=${text}`), 101);
  assert.equal(await handshake(`${server}/client/hubs/${hub.toUpperCase()}?access_token=${text}`), 101);
  assert.equal(await handshake(baseUrl), 401);
});

test("a token that the server generates is one that the SDK can use", async () => {
  const hub = newHub();
  const query = "api-version=2024-12-01&userId=mark&role=webpubsub.sendToGroup.g&group=g&minutesToExpire=5";
  const path = `/api/hubs/${hub}/:generateToken?${query}`;
  const Authorization = `Bearer ${token({ aud: ENDPOINT + path, exp: inSeconds(60) })}`;
  const answer = await fetch(ENDPOINT + path, { method: "POST", headers: { Authorization } });
  assert.equal(answer.status, 200);
  const generated = (await answer.json()).token;
  const mark = new Client(sdk, `${ENDPOINT.replace("http", "ws")}/client/hubs/${hub}?access_token=${generated}`);
  await mark.sdk.start();
  await mark.sdk.sendToGroup("g", "x", "text");
  assert.equal((await mark.heard(1))[0].fromUserId, "mark");
});

test("the API refuses other keys, expired tokens, tokens of clients and for other requests", async () => {
  const hub = newHub();
  const wrong = service(hub, { connectionString: CONNECTION_STRING.replace(KEY, KEY + "x") });
  await assert.rejects(wrong.sendToAll("x"), { statusCode: 401 });
  const second = service(hub, { connectionString: CONNECTION_STRING.replace(KEY, SECOND_KEY) });
  await second.sendToAll("x");

  const path = `/api/hubs/${hub}/:send`;
  const status = async (claims, signing) => {
    const headers = { "Content-Type": "text/plain", Authorization: `Bearer ${token(claims, signing)}` };
    return (await fetch(ENDPOINT + path, { method: "POST", headers, body: "x" })).status;
  };
  const good = { aud: ENDPOINT + path, exp: inSeconds(60) };
  assert.equal(await status(good), 202);
  assert.equal(await status({ ...good, exp: inSeconds(-10) }), 401);
  assert.equal(await status(good, { header: { alg: "none" } }), 401);
  assert.equal(await status({ ...good, aud: `${ENDPOINT}/api/hubs/${hub}/:closeConnections` }), 401);
  assert.equal(await status({ ...good, aud: `${ENDPOINT}/client/hubs/${hub}` }), 401);
  assert.equal((await fetch(ENDPOINT + path, { method: "POST", body: "x" })).status, 401);
});

test("a reconnection token is no access token, and nobody recovers with an access token", async () => {
  const hub = newHub();
  const reliable = ["json.reliable.webpubsub.azure.v1"];
  const { url, baseUrl, token: access } = await service(hub).getClientAccessToken({ userId: "mark" });
  const mark = new Socket(url, reliable);
  const { connectionId, reconnectionToken } = JSON.parse(await mark.frame(0));
  assert.ok(reconnectionToken.length > 0);
  assert.equal(await handshake(`${baseUrl}?access_token=${reconnectionToken}`, reliable), 401);
  for (const wrong of [access, "x", reconnectionToken.slice(0, -2)]) {
    const thief = new Socket(
      `${baseUrl}?awps_connection_id=${connectionId}&awps_reconnection_token=${wrong}`,
      reliable,
    );
    assert.equal((await thief.closed).code, 1008);
    assert.equal(thief.frames.length, 0);
  }
  // Whose connection it is has not noticed.
  mark.socket.send('{"type":"ping"}');
  assert.equal(await mark.frame(1), '{"type":"pong"}');
});
