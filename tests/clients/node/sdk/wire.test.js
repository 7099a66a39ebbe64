// Frames as they are on the wire, where the SDKs do not show them: their bytes, how connections end, what a recovery
// takes and what it is refused.

import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, describe, test } from "node:test";
import { cleanUp, ENDPOINT, eventually, newHub, rest, service, Socket } from "./support.js";

const PLAIN = ["json.webpubsub.azure.v1"];
const RELIABLE = ["json.reliable.webpubsub.azure.v1"];
const ANY = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
const TEXT = { contentType: "text/plain" };

afterEach(cleanUp);

/** A connection with its `connected`. */
async function connect(hub, { subprotocols = RELIABLE, userId = "mark", groups = ["g"], roles = ANY } = {}) {
  const client = await Socket.connect(hub, { subprotocols, userId, groups, roles });
  client.connected = JSON.parse(await client.frame(0));
  return client;
}

/** The same connection on a new socket. */
async function recover(hub, { connectionId, reconnectionToken }) {
  const query = new URLSearchParams({
    access_token: "ignored",
    awps_connection_id: connectionId,
    awps_reconnection_token: reconnectionToken,
  });
  const client = new Socket(`${ENDPOINT.replace("http", "ws")}/client/hubs/${hub}?${query}`, RELIABLE);
  await once(client.socket, "open");
  return client;
}

async function refused(hub, connected) {
  const client = await recover(hub, connected);
  const { code, reason } = await client.closed;
  assert.equal(code, 1008, reason);
  assert.ok(reason.length > 0);
  assert.deepEqual(messages(client), []);
}

/** What it was sent; it may have been told again that it is connected. */
function messages(client) {
  return client.frames.map((frame) => JSON.parse(frame)).filter(({ type }) => type === "message");
}

async function heard(client, count) {
  await eventually(() => messages(client).length >= count, `${count} messages`);
  return messages(client).map(({ data, sequenceId }) => [sequenceId, data]);
}

function say(client, frame) {
  client.socket.send(JSON.stringify(frame));
}

/** Says something and waits for its ack. */
async function ask(client, frame) {
  say(client, frame);
  const ack = () =>
    client.frames.map((text) => JSON.parse(text)).find(({ type, ackId }) => type === "ack" && ackId === frame.ackId);
  return eventually(ack, `ack ${frame.ackId}`);
}

test("only a reliable connection is given a reconnection token", async () => {
  const hub = newHub();
  const [reliable, plain] = [await connect(hub), await connect(hub, { subprotocols: PLAIN })];
  const start = (client) =>
    `{"type":"system","event":"connected","userId":"mark","connectionId":"${client.connected.connectionId}"`;
  assert.ok(reliable.frames[0].startsWith(`${start(reliable)},"reconnectionToken":"`), reliable.frames[0]);
  assert.ok(plain.frames[0].startsWith(start(plain)));
  assert.equal(plain.connected.reconnectionToken, undefined);
});

test("each frame has the bytes that the service would send", async () => {
  const hub = newHub();
  const [reliable, plain] = [await connect(hub), await connect(hub, { subprotocols: PLAIN })];
  const metadata = { trace: "4711" };
  await ask(plain, { type: "sendToGroup", group: "g", dataType: "json", data: { a: 1 }, ackId: 1 });
  await ask(plain, { type: "sendToGroup", group: "g", dataType: "text", data: "x", metadata, ackId: 2 });
  await service(hub).group("g").sendToAll("y", TEXT);
  await service(hub).sendToAll({ b: 2 });
  const bodies = [
    '{"type":"message","from":"group","group":"g","fromUserId":"mark","dataType":"json","data":{"a":1}',
    '{"type":"message","from":"group","group":"g","fromUserId":"mark","dataType":"text","data":"x","metadata":{"trace":"4711"}',
    '{"type":"message","from":"group","group":"g","dataType":"text","data":"y"',
    '{"type":"message","from":"server","dataType":"json","data":{"b":2}',
  ];
  await heard(plain, 4);
  await heard(reliable, 4);
  const is = (client) => client.frames.filter((frame) => frame.startsWith('{"type":"message"'));
  assert.deepEqual(
    is(plain),
    bodies.map((body) => `${body}}`),
  );
  assert.deepEqual(
    is(reliable),
    bodies.map((body, index) => `${body},"sequenceId":${index + 1}}`),
  );
  assert.ok(plain.frames.includes('{"type":"ack","ackId":1,"success":true}'));
});

test("acks and pongs have no number of the sequence", async () => {
  const mark = await connect(newHub());
  await ask(mark, { type: "joinGroup", group: "h", ackId: 1 });
  say(mark, { type: "ping" });
  await mark.frame(2);
  assert.deepEqual(mark.frames.slice(1), ['{"type":"ack","ackId":1,"success":true}', '{"type":"pong"}']);
});

test("what was acknowledged is not sent again, and the rest is, in order and before what is new", async () => {
  const hub = newHub();
  const [mark, anna] = [await connect(hub), await connect(hub, { groups: [] })];
  for (let n = 1; n <= 5; n++) say(anna, { type: "sendToGroup", group: "g", dataType: "text", data: `${n}` });
  await heard(mark, 5);
  say(mark, { type: "sequenceAck", sequenceId: 3 });
  // Its answer stands behind the acknowledgement.
  await ask(mark, { type: "joinGroup", group: "h", ackId: 1 });
  mark.socket.terminate();
  await ask(anna, { type: "sendToGroup", group: "g", dataType: "text", data: "6", ackId: 1 });
  const back = await recover(hub, mark.connected);
  await heard(back, 3);
  await ask(anna, { type: "sendToGroup", group: "h", dataType: "text", data: "7", ackId: 2 });
  assert.deepEqual(await heard(back, 4), [
    [4, "4"],
    [5, "5"],
    [6, "6"],
    [7, "7"],
  ]);
});

test("a recovery takes the place of a socket that still seems to be alive", async () => {
  const hub = newHub();
  const mark = await connect(hub);
  await service(hub).sendToAll("1", TEXT);
  await heard(mark, 1);
  const back = await recover(hub, mark.connected);
  await mark.closed;
  await service(hub).sendToAll("2", TEXT);
  assert.deepEqual(await heard(back, 2), [
    [1, "1"],
    [2, "2"],
  ]);
  // As often as one likes.
  const again = await recover(hub, mark.connected);
  assert.deepEqual(await heard(again, 2), [
    [1, "1"],
    [2, "2"],
  ]);
  await ask(again, { type: "joinGroup", group: "h", ackId: 1 });
});

test("a recovered connection keeps its groups, its roles and the ackIds that succeeded", async () => {
  const hub = newHub();
  const mark = await connect(hub, { roles: ["webpubsub.sendToGroup.h", "webpubsub.joinLeaveGroup.h"] });
  await ask(mark, { type: "joinGroup", group: "h", ackId: 1 });
  mark.socket.terminate();
  const back = await recover(hub, mark.connected);
  const again = await ask(back, { type: "joinGroup", group: "h", ackId: 1 });
  assert.equal(again.error.name, "Duplicate");
  assert.equal(again.error.message, "Message with ack-id: 1 has been processed");
  assert.equal((await ask(back, { type: "joinGroup", group: "other", ackId: 2 })).error.name, "Forbidden");
  assert.equal(
    (await ask(back, { type: "sendToGroup", group: "h", dataType: "text", data: "x", ackId: 3 })).success,
    true,
  );
  assert.deepEqual(await heard(back, 1), [[1, "x"]]);
});

test("an abort and a close with 1001 are losses, from which a client comes back", async () => {
  const hub = newHub();
  for (const lose of [
    (socket) => socket.terminate(),
    (socket) => socket.close(1001, "going away"),
    (socket) => socket.close(4000),
  ]) {
    const mark = await connect(hub);
    lose(mark.socket);
    await mark.closed;
    assert.equal(await service(hub).connectionExists(mark.connected.connectionId), true);
    const back = await recover(hub, mark.connected);
    await ask(back, { type: "joinGroup", group: "h", ackId: 1 });
    back.socket.close(1000);
  }
});

test("a close with 1000 or without a code is the end, as is an error of the client", async () => {
  const hub = newHub();
  for (const end of [(socket) => socket.close(1000), (socket) => socket.close(), (socket) => socket.send("{")]) {
    const mark = await connect(hub);
    end(mark.socket);
    await mark.closed;
    await eventually(async () => !(await service(hub).connectionExists(mark.connected.connectionId)), "gone");
    await refused(hub, mark.connected);
  }
});

test("whoever was closed or kicked is not taken back", async () => {
  const hub = newHub();
  const [mark, anna] = [await connect(hub), await connect(hub)];
  await service(hub).closeConnection(mark.connected.connectionId, { reason: "bye" });
  assert.equal((await mark.closed).code, 1000);
  await refused(hub, mark.connected);
  await rest("DELETE", `/hubs/${hub}/connections/${anna.connected.connectionId}?kick=true`);
  assert.equal((await anna.closed).code, 1008);
  await refused(hub, anna.connected);
});

test("a recovery that is refused succeeds as a handshake and is closed with 1008", async () => {
  const [hub, other] = [newHub(), newHub()];
  const [mark, anna, plain] = [await connect(hub), await connect(hub), await connect(hub, { subprotocols: PLAIN })];
  await connect(other);
  const { connectionId, reconnectionToken } = mark.connected;
  await refused(hub, { connectionId: "0123456789abcdef0123456789abcdef", reconnectionToken });
  await refused(hub, { connectionId: "nobody", reconnectionToken });
  await refused(hub, { connectionId, reconnectionToken: anna.connected.reconnectionToken });
  await refused(hub, { connectionId, reconnectionToken: "" });
  await refused(hub, { connectionId: plain.connected.connectionId, reconnectionToken });
  await refused(other, mark.connected);
  // None of them was disturbed.
  for (const client of [mark, anna, plain]) await ask(client, { type: "joinGroup", group: "h", ackId: 1 });
});

test("a message that has expired is not sent again", async () => {
  const hub = newHub();
  const [mark, back] = [await connect(hub), service(hub)];
  mark.socket.terminate();
  await mark.closed;
  await back.sendToAll("short", { ...TEXT, messageTtlSeconds: 1 });
  await back.sendToAll("long", { ...TEXT, messageTtlSeconds: 60 });
  await back.sendToAll("always", TEXT);
  const sent = Date.now();
  await eventually(() => Date.now() > sent + 1_500, "the second is over");
  const again = await recover(hub, mark.connected);
  await eventually(() => messages(again).some(({ data }) => data === "always"), "always");
  assert.deepEqual(
    messages(again).map(({ data }) => data),
    ["long", "always"],
  );
});

test("the first subprotocol that is known is chosen and echoed, and none otherwise", async () => {
  const hub = newHub();
  const chosen = async (...subprotocols) => (await Socket.connect(hub, { subprotocols })).socket.protocol;
  assert.equal(await chosen("soap", RELIABLE[0], PLAIN[0]), RELIABLE[0]);
  assert.equal(await chosen(PLAIN[0], RELIABLE[0]), PLAIN[0]);
  assert.equal(await chosen("JSON.Reliable.WebPubSub.Azure.v1"), "JSON.Reliable.WebPubSub.Azure.v1");
});

for (const subprotocols of [PLAIN, RELIABLE]) describe(subprotocols[0], () => mistakes(subprotocols));

function mistakes(subprotocols) {
  test("mistakes end a connection with their codes", async () => {
    const hub = newHub();
    for (const [mistake, code] of [
      ["{", 1007],
      ['{"type":"shout"}', 1007],
      [Buffer.from("{}"), 1003],
      ["x".repeat(2 ** 20 + 1), 1009],
    ]) {
      const mark = await connect(hub, { subprotocols });
      mark.socket.send(mistake);
      const closed = await mark.closed;
      assert.equal(closed.code, code);
      assert.ok(closed.reason.length > 0);
    }
  });

  test("a mistake with an ackId is a bad request, and the connection stays", async () => {
    const mark = await connect(newHub(), { subprotocols });
    const wrong = [
      { type: "shout" },
      { type: "joinGroup" },
      { type: "sendToGroup", group: "g", dataType: "json", data: null },
      { type: "joinGroup", group: " " },
    ];
    for (const [index, frame] of wrong.entries()) {
      const { error } = await ask(mark, { ...frame, ackId: index + 1 });
      assert.equal(error.name, "BadRequest");
      assert.ok(error.message.length > 0);
    }
    assert.equal((await ask(mark, { type: "joinGroup", group: "h", ackId: 9 })).success, true);
  });
}

test("a plain client that acknowledges sequence numbers is not disturbed", async () => {
  const mark = await connect(newHub(), { subprotocols: PLAIN });
  say(mark, { type: "sequenceAck", sequenceId: 1 });
  assert.equal((await ask(mark, { type: "joinGroup", group: "h", ackId: 1 })).success, true);
});
