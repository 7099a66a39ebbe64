// What the client SDK does when its wire is cut, and what the server does about it: nothing is lost, nothing comes
// twice, everything comes in order, on the same connection; until the recovery window is over.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import {
  cleanUp,
  Client,
  CLIENT_SDKS,
  clientUrl,
  ENDPOINT,
  eventually,
  handshake,
  inSeconds,
  newHub,
  Proxy,
  rest,
  service,
} from "./support.js";

const ANY = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

/** A server whose recovery window is a second. */
const SHORT_WINDOW = process.env.ShortWindowConnectionString;

afterEach(cleanUp);

for (const [version, sdk] of Object.entries(CLIENT_SDKS)) describe(version, () => suite(sdk));

/** Sends numbers to a group, never so many ahead of a receiver that the server's buffer for it could be full. */
async function flow(sender, group, count, receivers) {
  for (let n = 0; n < count; n++) {
    await eventually(() => receivers.every(({ messages }) => n - messages.length < 300), `room for ${n}`);
    await sender.sdk.sendToGroup(group, n, "json", { fireAndForget: true });
  }
}

/** Cuts the wire each time that the client has got some more messages, until it has all of them. Returns how often. */
async function cutNowAndThen(client, proxy, cut, every, count) {
  let cuts = 0;
  for (let next = every; next < count; next = client.messages.length + every) {
    await eventually(() => client.messages.length >= next, `message ${next} after ${cuts} cuts`);
    const wires = proxy.accepted;
    proxy[cut]();
    cuts++;
    await eventually(() => proxy.accepted > wires, "the SDK comes back");
  }
  return cuts;
}

function suite(sdk) {
  const connect = (hub, options) => Client.connect(sdk, hub, { roles: ANY, ...options });

  test("nothing is lost, doubled or reordered when wires are cut while thousands of messages flow", async () => {
    const hub = newHub();
    const count = 3_000;
    const sender = await connect(hub, { protocol: "plain" });
    const receivers = [];
    for (const cut of ["cut", "cut", "cutUnnoticed", "cutUnnoticed"]) {
      const proxy = await Proxy.start();
      const client = await connect(hub, { through: proxy });
      await client.sdk.joinGroup("numbers");
      receivers.push({ client, proxy, cut, id: client.id });
    }
    const every = [60, 90, 130, 170];
    const [, ...cuts] = await Promise.all([
      flow(
        sender,
        "numbers",
        count,
        receivers.map(({ client }) => client),
      ),
      ...receivers.map(({ client, proxy, cut }, index) => cutNowAndThen(client, proxy, cut, every[index], count)),
    ]);
    assert.ok(
      cuts.every((number) => number >= 4),
      `cut ${cuts} times`,
    );
    const numbers = Array.from({ length: count }, (_, n) => n);
    for (const { client, id } of receivers) {
      assert.deepEqual(await client.data(count), numbers);
      assert.deepEqual(
        client.messages.map((message) => message.sequenceId),
        numbers.map((n) => n + 1),
      );
      assert.deepEqual(
        client.connections.map((args) => args.connectionId),
        [id],
      );
      assert.equal(client.disconnections.length, 0);
    }
  });

  test("what is published while nobody is on the wire arrives after it", async () => {
    const hub = newHub();
    const proxy = await Proxy.start();
    const mark = await connect(hub, { userId: "mark", through: proxy });
    await mark.sdk.joinGroup("chess");
    const { id } = mark;
    proxy.close();
    const back = service(hub);
    for (let n = 0; n < 20; n++) await back.group("chess").sendToAll({ n });
    await back.sendToUser("mark", { n: 20 });
    await back.sendToConnection(id, { n: 21 });
    // All this time it counts as connected.
    assert.ok(await back.connectionExists(id));
    assert.ok(await back.userExists("mark"));
    assert.ok(await back.groupExists("chess"));
    assert.equal(mark.messages.length, 0);
    proxy.open();
    const numbers = Array.from({ length: 22 }, (_, n) => ({ n }));
    assert.deepEqual(await mark.data(22), numbers);
    assert.deepEqual(
      mark.connections.map((args) => args.connectionId),
      [id],
    );
  });

  test("many recoveries land on whichever worker is next, and each goes on where it was", async () => {
    const hub = newHub();
    const proxy = await Proxy.start();
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect(hub, { through: proxy })));
    await Promise.all(clients.map((client) => client.sdk.joinGroup("all")));
    const ids = clients.map((client) => client.id);
    const back = service(hub);
    const rounds = 12;
    for (let round = 0; round < rounds; round++) {
      const wires = proxy.accepted;
      proxy.cut();
      await back.group("all").sendToAll(round);
      await eventually(() => proxy.accepted >= wires + clients.length, "all come back");
      await Promise.all(clients.map((client) => client.heard(round + 1)));
    }
    for (const client of clients)
      assert.deepEqual(
        await client.data(rounds),
        Array.from({ length: rounds }, (_, n) => n),
      );
    assert.deepEqual(
      clients.map((client) => client.id),
      ids,
    );
  });

  test("what an ackId has done is remembered across a cut", async () => {
    const hub = newHub();
    const proxy = await Proxy.start();
    const mark = await connect(hub, { through: proxy });
    await mark.sdk.joinGroup("once");
    assert.equal((await mark.sdk.sendToGroup("once", "x", "text", { ackId: 77 })).isDuplicated, false);
    await cutOnce(proxy, mark);
    assert.equal((await mark.sdk.sendToGroup("once", "x", "text", { ackId: 77 })).isDuplicated, true);
    await mark.sdk.sendToGroup("once", "end", "text");
    assert.deepEqual(await mark.data(2), ["x", "end"]);
    assert.equal(mark.connections.length, 1);
  });

  test("permissions that were granted and revoked are kept across a cut", async () => {
    const hub = newHub();
    const proxy = await Proxy.start();
    const mark = await connect(hub, { through: proxy, roles: ["webpubsub.joinLeaveGroup.old"] });
    const back = service(hub);
    await back.grantPermission(mark.id, "joinLeaveGroup", { targetName: "new" });
    await back.revokePermission(mark.id, "joinLeaveGroup", { targetName: "old" });
    await cutOnce(proxy, mark);
    await mark.sdk.joinGroup("new");
    await assert.rejects(mark.sdk.joinGroup("old"), ({ errorDetail }) => errorDetail.name === "Forbidden");
    assert.equal(mark.connections.length, 1);
  });

  test("nobody is told of a cut, and leaving is announced when the window is over", async () => {
    const [proxy, watcher] = [await shortWindowProxy(), service("hall", { connectionString: SHORT_WINDOW })];
    const group = newHub();
    const anna = await Client.connect(sdk, "hall", { through: await shortWindowProxy(), userId: "anna", roles: ANY });
    const mark = await Client.connect(sdk, "hall", { through: proxy, userId: "mark", roles: ANY });
    await anna.sdk.joinGroup(group);
    await mark.sdk.joinGroup(group);
    await cutOnce(proxy, mark);
    await mark.sdk.sendToGroup(group, "back", "text");
    await anna.hears("back");
    const left = ({ announcement }) => announcement?.event === "left";
    assert.ok(!anna.messages.some(left));
    const { id } = mark;
    proxy.close();
    await eventually(() => anna.messages.some(left), "mark has left");
    assert.ok(!(await watcher.connectionExists(id)));
  });

  test("after the window is over the SDK connects anew and joins its groups again", async () => {
    const proxy = await shortWindowProxy();
    const hub = newHub();
    const mark = await Client.connect(sdk, hub, { through: proxy, userId: "mark", roles: ANY });
    await mark.sdk.joinGroup("a");
    await mark.sdk.joinGroup("left");
    await mark.sdk.leaveGroup("left");
    const back = service(hub, { connectionString: SHORT_WINDOW });
    const { id } = mark;
    proxy.close();
    await eventually(async () => !(await back.connectionExists(id)), "the window is over");
    proxy.open();
    await eventually(() => mark.connections.length === 2, "a new connection");
    assert.deepEqual(
      mark.disconnections.map((args) => args.connectionId),
      [id],
    );
    assert.notEqual(mark.id, id);
    await eventually(() => back.groupExists("a"), "joined again");
    await back.group("left").sendToAll("not heard", { contentType: "text/plain" });
    await back.group("a").sendToAll("heard", { contentType: "text/plain" });
    assert.deepEqual(await mark.data(1), ["heard"]);
    assert.equal(mark.failedJoins.length, 0);
  });

  test("an expired token does not stand in the way of a recovery", async () => {
    const proxy = await Proxy.start();
    const hub = newHub();
    const claims = {
      aud: `http://127.0.0.1:${proxy.port}/client/hubs/${hub}`,
      sub: "mark",
      role: ANY,
      exp: inSeconds(1),
    };
    const url = clientUrl(hub, claims).replace(new URL(ENDPOINT).host, `127.0.0.1:${proxy.port}`);
    const mark = new Client(sdk, url);
    await mark.sdk.start();
    await eventually(() => mark.connections.length === 1, "connected");
    await eventually(async () => (await handshake(url)) === 401, "the token has expired");
    await cutOnce(proxy, mark);
    await mark.sdk.joinGroup("g");
    assert.equal(mark.connections.length, 1);
    assert.equal(mark.disconnections.length, 0);
  });

  test("a connection that the back end closes is not recovered, but made anew", async () => {
    const hub = newHub();
    const mark = await connect(hub, { userId: "mark" });
    await mark.sdk.joinGroup("g");
    const { id } = mark;
    await service(hub).closeConnection(id, { reason: "maintenance" });
    await eventually(() => mark.connections.length === 2, "a new connection");
    assert.notEqual(mark.id, id);
    assert.equal(mark.disconnections.length, 1);
    assert.match(mark.disconnections[0].message.message, /maintenance/);
    await eventually(() => service(hub).groupExists("g"), "joined again");
  });

  test("who is kicked with 1008 connects anew at once", async () => {
    const hub = newHub();
    const mark = await connect(hub);
    await mark.sdk.joinGroup("g");
    const { id } = mark;
    const answer = await rest("DELETE", `/hubs/${hub}/connections/${id}?kick=true&reason=out`);
    assert.equal(answer.status, 204);
    await eventually(() => mark.connections.length === 2, "a new connection");
    assert.notEqual(mark.id, id);
    assert.match(mark.disconnections[0].message.message, /out/);
    await eventually(() => service(hub).groupExists("g"), "joined again");
  });

  test("who is further behind than the server keeps messages for is closed, and begins anew", async () => {
    const hub = newHub();
    const mark = await Client.connect(sdk, hub, { through: await shortWindowProxy(), groups: ["g"] });
    const { id } = mark;
    const sender = await Client.connect(sdk, hub, { through: await shortWindowProxy(), protocol: "plain", roles: ANY });
    // The SDK acknowledges once a second; that server keeps 200 messages.
    for (let n = 0; n < 1_000; n++) await sender.sdk.sendToGroup("g", n, "json", { fireAndForget: true });
    await eventually(() => mark.connections.length >= 2, "a new connection");
    assert.equal(mark.disconnections[0].connectionId, id);
  });

  test("a client that does not want to be reconnected stops", async () => {
    const hub = newHub();
    const mark = await connect(hub, { autoReconnect: false });
    await rest("DELETE", `/hubs/${hub}/connections/${mark.id}?kick=true`);
    await eventually(() => mark.stops === 1, "stopped");
    assert.equal(mark.connections.length, 1);
  });

  test("without the reliable subprotocol a cut is a new connection in the same groups", async () => {
    const hub = newHub();
    const proxy = await Proxy.start();
    const mark = await connect(hub, { through: proxy, protocol: "plain" });
    await mark.sdk.joinGroup("g");
    const { id } = mark;
    proxy.cut();
    await eventually(() => mark.connections.length === 2, "a new connection");
    assert.notEqual(mark.id, id);
    assert.deepEqual(
      mark.disconnections.map((args) => args.connectionId),
      [id],
    );
    await eventually(() => service(hub).groupExists("g"), "joined again");
  });
}

async function shortWindowProxy() {
  const [, endpoint, key] = /^Endpoint=(.*?);AccessKey=(.*?);/.exec(SHORT_WINDOW);
  return Proxy.start(endpoint, key);
}

async function cutOnce(proxy, client) {
  const wires = proxy.accepted;
  proxy.cut();
  await eventually(() => proxy.accepted > wires, "the SDK comes back");
  await client.isBack();
}
