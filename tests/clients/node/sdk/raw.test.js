// Clients without a subprotocol, whose mode stands in the query.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { cleanUp, Client, CLIENT_SDKS, handshake, newHub, service, Socket } from "./support.js";

const sdk = CLIENT_SDKS["client 1.0.4"];
const TEXT = { contentType: "text/plain" };

afterEach(cleanUp);

test("a raw client gets bare payloads, and nothing else", async () => {
  const hub = newHub();
  const back = service(hub);
  const raw = await Socket.connect(hub, { userId: "mark", groups: ["g"] });
  assert.equal(raw.socket.protocol, "");
  await back.sendToAll("text", TEXT);
  await back.group("g").sendToAll({ json: [1] });
  await back.sendToUser("mark", Uint8Array.from([0, 255]).buffer);
  await raw.frame(2);
  assert.deepEqual(raw.frames, ["text", '{"json":[1]}', Buffer.from([0, 255])]);
});

test("in the mode sendToGroup each frame is a message to the group", async () => {
  const hub = newHub();
  const anna = await Client.connect(sdk, hub, { groups: ["sales/europe"] });
  const query = "&webpubsub_mode=sendToGroup&group=sales%2Feurope";
  const raw = await Socket.connect(hub, { userId: "mark", roles: ["webpubsub.sendToGroup.sales/europe"], query });
  raw.socket.send("text");
  raw.socket.send(Buffer.from([0, 255]));
  const heard = await anna.heard(2);
  assert.deepEqual(
    heard.map((message) => message.dataType),
    ["text", "binary"],
  );
  assert.equal(heard[0].data, "text");
  assert.deepEqual([...new Uint8Array(heard[1].data)], [0, 255]);
  assert.deepEqual(
    heard.map((message) => message.fromUserId),
    ["mark", "mark"],
  );
  // It is no member.
  await service(hub).group("sales/europe").sendToAll("members", TEXT);
  await service(hub).sendToAll("all", TEXT);
  assert.equal(await raw.frame(0), "all");
});

test("in the mode sendToGroup a member hears itself unless it wants no echo", async () => {
  const hub = newHub();
  const token = { roles: ["webpubsub.sendToGroup"], groups: ["g"] };
  const query = "&WebPubSub_Mode=SENDTOGROUP&group=g".replace("WebPubSub_Mode", "webpubsub_mode");
  const loud = await Socket.connect(hub, { ...token, query });
  const quiet = await Socket.connect(hub, { ...token, query: `${query}&noEcho=false&noEcho=True` });
  loud.socket.send("1");
  assert.equal(await loud.frame(0), "1");
  assert.equal(await quiet.frame(0), "1");
  quiet.socket.send("2");
  assert.equal(await loud.frame(1), "2");
  loud.socket.send("3");
  assert.equal(await quiet.frame(1), "3");
});

test("in the mode sendToGroup what no role allows reaches nobody", async () => {
  const hub = newHub();
  const anna = await Client.connect(sdk, hub, { groups: ["g"] });
  const query = "&webpubsub_mode=sendToGroup&group=g";
  const mute = await Socket.connect(hub, { query });
  mute.socket.send("not heard");
  const query2 = "&webpubsub_mode=sendToGroup&group=g";
  const loud = await Socket.connect(hub, { query: query2, roles: ["webpubsub.sendToGroup.g"] });
  // Behind an answer to its ping, what the other one has sent is handled.
  await new Promise((answered) => mute.socket.once("pong", answered) && mute.socket.ping());
  loud.socket.send("heard");
  assert.deepEqual(await anna.data(1), ["heard"]);
});

test("in the mode sendEvent a frame that nobody handles closes with 1011", async () => {
  const raw = await Socket.connect(newHub(), { query: "&webpubsub_mode=sendEvent" });
  raw.socket.send("Is anybody there?");
  assert.equal((await raw.closed).code, 1011);
});

test("a query that makes no sense is refused with 400", async () => {
  const { url } = await service(newHub()).getClientAccessToken();
  for (const wrong of [
    "webpubsub_mode=shout",
    "webpubsub_mode=sendToGroup",
    "webpubsub_mode=sendToGroup&group=g&noEcho=perhaps",
  ]) {
    assert.equal(await handshake(`${url}&${wrong}`, []), 400, wrong);
  }
});
