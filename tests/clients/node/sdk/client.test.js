// Every method of the client SDK, in both of its subprotocols and both of its versions.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { cleanUp, Client, CLIENT_SDKS, eventually, newHub, service } from "./support.js";

const ANY = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

afterEach(cleanUp);

for (const [version, sdk] of Object.entries(CLIENT_SDKS)) {
  for (const protocol of ["plain", "reliable"]) {
    describe(`${version}, ${protocol}`, () => suite(sdk, protocol));
  }
}

function suite(sdk, protocol) {
  const connect = (hub, options) => Client.connect(sdk, hub, { protocol, roles: ANY, ...options });

  test("a client learns who it is", async () => {
    const hub = newHub();
    const mark = await connect(hub, { userId: "märk/1" });
    assert.equal(mark.connections[0].userId, "märk/1");
    assert.ok(await service(hub).connectionExists(mark.id));
    const nobody = await connect(hub);
    assert.ok(!nobody.connections[0].userId);
    assert.notEqual(nobody.id, mark.id);
  });

  test("a token's groups are joined from the start", async () => {
    const hub = newHub();
    const mark = await connect(hub, { userId: "mark", groups: ["sales/europe", "chess"] });
    await service(hub).group("chess").sendToAll("check", { contentType: "text/plain" });
    assert.deepEqual(await mark.data(1), ["check"]);
  });

  test("each kind of data arrives as what it was", async () => {
    const hub = newHub();
    const mark = await connect(hub, { userId: "mark" });
    const anna = await connect(hub, { userId: "anna" });
    await anna.sdk.joinGroup("sales/europe");
    const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
    const protobuf = Uint8Array.from([8, 1]);
    const json = { text: "Größe 10²", list: [1, 2.5, true, null], nested: { empty: {} } };
    await mark.sdk.sendToGroup("sales/europe", "Hello, 日本!", "text");
    await mark.sdk.sendToGroup("sales/europe", json, "json");
    await mark.sdk.sendToGroup("sales/europe", "a JSON string", "json");
    await mark.sdk.sendToGroup("sales/europe", 17, "json");
    await mark.sdk.sendToGroup("sales/europe", bytes.buffer, "binary");
    await mark.sdk.sendToGroup("sales/europe", protobuf.buffer, "protobuf");
    const heard = await anna.heard(6);
    assert.deepEqual(
      heard.map((message) => message.dataType),
      ["text", "json", "json", "json", "binary", "protobuf"],
    );
    assert.deepEqual(
      heard.slice(0, 4).map((message) => message.data),
      ["Hello, 日本!", json, "a JSON string", 17],
    );
    assert.deepEqual(new Uint8Array(heard[4].data), bytes);
    assert.deepEqual(new Uint8Array(heard[5].data), protobuf);
    for (const message of heard) {
      assert.equal(message.kind, "groupData");
      assert.equal(message.group, "sales/europe");
      assert.equal(message.fromUserId, "mark");
    }
    const numbers = protocol === "reliable" ? [1, 2, 3, 4, 5, 6] : Array(6).fill(undefined);
    assert.deepEqual(
      heard.map((message) => message.sequenceId),
      numbers,
    );
  });

  test("a sender hears itself, unless it wants no echo", async () => {
    const mark = await connect(newHub());
    await mark.sdk.joinGroup("echo");
    await mark.sdk.sendToGroup("echo", "not heard", "text", { noEcho: true });
    await mark.sdk.sendToGroup("echo", "heard", "text");
    assert.deepEqual(await mark.data(1), ["heard"]);
  });

  test("what is sent without waiting for an ack arrives in order", async () => {
    const hub = newHub();
    const mark = await connect(hub);
    const anna = await connect(hub);
    await anna.sdk.joinGroup("numbers");
    const numbers = Array.from({ length: 200 }, (_, n) => n);
    for (const n of numbers) {
      const result = await mark.sdk.sendToGroup("numbers", n, "json", { fireAndForget: true });
      assert.equal(result.ackId, undefined);
    }
    assert.deepEqual(await anna.data(200), numbers);
  });

  test("who has left a group hears nothing of it", async () => {
    const mark = await connect(newHub());
    await mark.sdk.joinGroup("left");
    await mark.sdk.joinGroup("kept");
    await mark.sdk.leaveGroup("left");
    await mark.sdk.sendToGroup("left", "not heard", "text");
    await mark.sdk.sendToGroup("kept", "heard", "text");
    assert.deepEqual(await mark.data(1), ["heard"]);
  });

  test("an ackId that was used before is a duplicate, which the SDK takes for success", async () => {
    const mark = await connect(newHub());
    await mark.sdk.joinGroup("once");
    const first = await mark.sdk.sendToGroup("once", "x", "text", { ackId: 4711 });
    assert.deepEqual(first, { ackId: 4711, isDuplicated: false });
    const again = await mark.sdk.sendToGroup("once", "x", "text", { ackId: 4711 });
    assert.deepEqual(again, { ackId: 4711, isDuplicated: true });
    await mark.sdk.sendToGroup("once", "end", "text");
    assert.deepEqual(await mark.data(2), ["x", "end"]);
  });

  test("what no role allows is Forbidden after the SDK's retries, and the connection stays", async () => {
    const roles = ["webpubsub.joinLeaveGroup.mine", "webpubsub.sendToGroup.mine"];
    const mark = await connect(newHub(), { roles });
    // Each operation is tried twice, under an ackId of its own.
    const forbidden = (ackId) => (error) => {
      assert.equal(error.name, "SendMessageError");
      assert.equal(error.errorDetail.name, "Forbidden");
      return error.ackId === ackId;
    };
    await assert.rejects(mark.sdk.joinGroup("yours"), forbidden(2));
    await assert.rejects(mark.sdk.leaveGroup("yours"), forbidden(4));
    await assert.rejects(mark.sdk.sendToGroup("yours", "x", "text"), forbidden(6));
    await mark.sdk.sendToGroup("yours", "dropped", "text", { fireAndForget: true });
    await mark.sdk.joinGroup("mine");
    await mark.sdk.sendToGroup("mine", "x", "text");
    assert.deepEqual(await mark.data(1), ["x"]);
    assert.equal(mark.disconnections.length, 0);
  });

  test("a pattern role allows the groups that it matches", async () => {
    const roles = ["webpubsub.joinLeaveGroups.team.*", "webpubsub.sendToGroups.team.**"];
    const mark = await connect(newHub(), { roles });
    await mark.sdk.joinGroup("team.red");
    await assert.rejects(mark.sdk.joinGroup("team.red.leads"), ({ errorDetail }) => errorDetail.name === "Forbidden");
    await mark.sdk.sendToGroup("team.red.leads", "nobody is there", "text");
    await assert.rejects(
      mark.sdk.sendToGroup("other", "x", "text"),
      ({ errorDetail }) => errorDetail.name === "Forbidden",
    );
    await mark.sdk.sendToGroup("team.red", "x", "text");
    assert.deepEqual(await mark.data(1), ["x"]);
  });

  test("an event that nobody handles is NotFound", async () => {
    const mark = await connect(newHub());
    const notFound = ({ errorDetail }) => errorDetail.name === "NotFound" && errorDetail.message.length > 0;
    await assert.rejects(mark.sdk.sendEvent("poll.start", { question: "Lunch?" }, "json"), notFound);
    await mark.sdk.sendEvent("poll.start", "x", "text", { fireAndForget: true });
    await mark.sdk.joinGroup("still here");
  });

  test("a listener that was taken off hears nothing more", async () => {
    const mark = await connect(newHub());
    let heard = 0;
    const listener = () => heard++;
    mark.sdk.on("group-message", listener);
    await mark.sdk.joinGroup("g");
    await mark.sdk.sendToGroup("g", "1", "text");
    await mark.hears("1");
    mark.sdk.off("group-message", listener);
    await mark.sdk.sendToGroup("g", "2", "text");
    await mark.hears("2");
    assert.equal(heard, 1);
  });

  test("the SDK's pings are answered, or it would take the connection for dead", async () => {
    const mark = await connect(newHub(), { keepAliveIntervalInMs: 100, keepAliveTimeoutInMs: 5_000 });
    for (let pongs = 0; pongs < 3; pongs++) {
      const before = mark.sdk._lastMessageReceived;
      await eventually(() => mark.sdk._lastMessageReceived > before, "a pong");
    }
    assert.equal(mark.connections.length, 1);
  });

  test("who stops is gone at once, and leaves its groups", async () => {
    const anna = await connect("hall", { userId: "anna" });
    const group = newHub();
    await anna.sdk.joinGroup(group);
    const mark = await connect("hall", { userId: "mark" });
    await mark.sdk.joinGroup(group);
    const { id } = mark;
    const announced = (event) => (message) =>
      message.announcement?.event === event && message.announcement.userId === "mark";
    await eventually(() => anna.messages.some(announced("joined")), "mark has joined");
    mark.sdk.stop();
    await eventually(() => mark.stops === 1 && mark.disconnections.length === 1, "stopped");
    await eventually(async () => !(await service("hall").connectionExists(id)), "the connection is gone");
    const left = await eventually(() => anna.messages.find(announced("left")), "mark has left");
    assert.equal(left.announcement.reason, "disconnected");
    assert.equal(left.group, group);
  });

  test("a client that has stopped can start again", async () => {
    const mark = await connect(newHub());
    mark.sdk.stop();
    await eventually(() => mark.stops === 1, "stopped");
    await mark.sdk.start();
    await eventually(() => mark.connections.length === 2, "connected");
    assert.notEqual(mark.connections[0].connectionId, mark.connections[1].connectionId);
  });

  test("invocations are not spoken: the call fails, and the SDK connects anew", async () => {
    const mark = await connect(newHub());
    await assert.rejects(mark.sdk.invokeEvent("sum", [1, 2], "json"), { name: "InvocationError" });
    await eventually(() => mark.connections.length === 2, "connected");
    await mark.sdk.joinGroup("g");
  });

  test("metadata and other properties of a message reach the application", async () => {
    const hub = newHub();
    const mark = await connect(hub, { groups: ["g"] });
    const requestOptions = { customHeaders: { "X-WebPubSub-Metadata-Trace": "4711" } };
    await service(hub).group("g").sendToAll({ n: 1 }, { requestOptions });
    const [message] = await mark.heard(1);
    assert.deepEqual(message.metadata, { trace: "4711" });
  });

  test("a mask reaches each member of a matching group once", async () => {
    const hub = newHub();
    const mark = await connect(hub, { groups: ["sales/europe", "sales/asia"] });
    const anna = await connect(hub);
    await anna.sdk.sendToGroup("sales/*", "one copy", "text");
    await anna.sdk.sendToGroup("*", "end", "text");
    assert.deepEqual(await mark.data(2), ["one copy", "end"]);
  });
}

test("streams are not spoken: opening one fails, and the SDK connects anew", async () => {
  const mark = await Client.connect(CLIENT_SDKS["client 1.1.0"], newHub(), { roles: ANY });
  await assert.rejects(mark.sdk.openGroupStream("g"), /failed before start/);
  await eventually(() => mark.connections.length === 2, "connected");
  await mark.sdk.joinGroup("g");
});
