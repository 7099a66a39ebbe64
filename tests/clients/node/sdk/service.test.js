// Every method of the SDK for back ends.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { cleanUp, Client, CLIENT_SDKS, eventually, newHub, rest, service, Socket } from "./support.js";

const sdk = CLIENT_SDKS["client 1.0.4"];
const TEXT = { contentType: "text/plain" };

afterEach(cleanUp);

const connect = (hub, options) => Client.connect(sdk, hub, options);

test("a message to all is from the server, in each content type", async () => {
  const hub = newHub();
  const back = service(hub);
  const clients = [await connect(hub), await connect(hub, { protocol: "plain" })];
  await back.sendToAll("Hello, 日本!", TEXT);
  await back.sendToAll({ text: "Größe", list: [1, 2.5, null] });
  await back.sendToAll("a JSON string");
  await back.sendToAll(Uint8Array.from([0, 1, 254, 255]).buffer);
  for (const client of clients) {
    const heard = await client.heard(4);
    assert.deepEqual(
      heard.map((message) => message.kind),
      Array(4).fill("serverData"),
    );
    assert.deepEqual(
      heard.map((message) => message.dataType),
      ["text", "json", "json", "binary"],
    );
    assert.deepEqual(
      heard.slice(0, 3).map((message) => message.data),
      ["Hello, 日本!", { text: "Größe", list: [1, 2.5, null] }, "a JSON string"],
    );
    assert.deepEqual([...new Uint8Array(heard[3].data)], [0, 1, 254, 255]);
  }
});

test("json goes out byte for byte", async () => {
  const hub = newHub();
  const raw = await Socket.connect(hub);
  const json = await Socket.connect(hub, { subprotocols: ["json.webpubsub.azure.v1"] });
  await service(hub).sendToAll({ message: "Hello world!" });
  assert.equal(await raw.frame(0), '{"message":"Hello world!"}');
  assert.equal(
    await json.frame(1),
    '{"type":"message","from":"server","dataType":"json","data":{"message":"Hello world!"}}',
  );
  const spaced = '{ "a" : 1.0,\n"b":1e2 , "c":"\\u00e9" }';
  const headers = { "Content-Type": "application/json" };
  assert.equal((await rest("POST", `/hubs/${hub}/:send`, { headers, body: spaced })).status, 202);
  assert.equal(await raw.frame(1), spaced);
});

test("excluded connections do not get a message", async () => {
  const hub = newHub();
  const back = service(hub);
  const [mark, anna] = [await connect(hub, { groups: ["g"] }), await connect(hub, { groups: ["g"] })];
  await back.sendToAll("1", { ...TEXT, excludedConnections: [anna.id, "nobody, as it is"] });
  await back.group("g").sendToAll("2", { ...TEXT, excludedConnections: [anna.id] });
  await back.sendToAll("3", TEXT);
  assert.deepEqual(await mark.data(3), ["1", "2", "3"]);
  assert.deepEqual(await anna.data(1), ["3"]);
});

test("a user on three devices is one user", async () => {
  const hub = newHub();
  const back = service(hub);
  const devices = [];
  for (const protocol of ["reliable", "plain", "reliable"])
    devices.push(await connect(hub, { userId: "mark", protocol }));
  const anna = await connect(hub, { userId: "anna" });
  assert.equal(await back.userExists("mark"), true);
  assert.equal(await back.userExists("nobody"), false);

  await back.sendToUser("mark", "to the user", TEXT);
  await back.group("g").addUser("mark");
  await back.group("h").addUser("mark");
  await back.group("g").sendToAll("in g", TEXT);
  await back.group("g").removeUser("mark");
  assert.equal(await back.groupExists("g"), false);
  await back.group("g").sendToAll("not heard", TEXT);
  await back.removeUserFromAllGroups("mark");
  assert.equal(await back.groupExists("h"), false);
  await back.sendToUser("mark", "end", TEXT);
  for (const device of devices) assert.deepEqual(await device.data(3), ["to the user", "in g", "end"]);
  assert.equal(anna.messages.length, 0);

  const ids = devices.map((device) => device.id);
  await back.closeUserConnections("mark", { reason: "enough" });
  for (const device of devices) {
    await eventually(() => device.disconnections.length === 1, "closed");
    assert.match(device.disconnections[0].message.message, /enough/);
  }
  for (const id of ids) assert.equal(await back.connectionExists(id), false);
  assert.equal(anna.disconnections.length, 0);
});

test("a message to a connection reaches it alone", async () => {
  const hub = newHub();
  const back = service(hub);
  const [mark, anna] = [await connect(hub, { userId: "mark" }), await connect(hub, { userId: "mark" })];
  await back.sendToConnection(mark.id, "for you", TEXT);
  await back.sendToConnection(mark.id, { n: 1 });
  await back.sendToConnection("nobody", "lost", TEXT);
  await back.sendToAll("end", TEXT);
  assert.deepEqual(await mark.data(3), ["for you", { n: 1 }, "end"]);
  assert.deepEqual(await anna.data(1), ["end"]);
});

test("a connection is put into groups and taken out of them", async () => {
  const hub = newHub();
  const back = service(hub);
  const mark = await connect(hub);
  const group = back.group("g");
  assert.equal(await back.groupExists("g"), false);
  await group.addConnection(mark.id);
  await group.addConnection(mark.id);
  assert.equal(await back.groupExists("g"), true);
  await group.sendToAll("1", TEXT);
  await group.removeConnection(mark.id);
  await group.removeConnection(mark.id);
  assert.equal(await back.groupExists("g"), false);
  await group.sendToAll("not heard", TEXT);
  await group.addConnection(mark.id);
  await back.group("h").addConnection(mark.id);
  await back.removeConnectionFromAllGroups(mark.id);
  assert.equal(await back.groupExists("h"), false);
  await back.sendToAll("2", TEXT);
  assert.deepEqual(await mark.data(2), ["1", "2"]);
});

test("who is not there cannot be put into a group, and taking them out does no harm", async () => {
  const back = service(newHub());
  const missing = { statusCode: 404, code: "Error.Connection.NotExisted" };
  await assert.rejects(back.group("g").addConnection("nobody"), missing);
  await assert.rejects(back.group("g").addUser("nobody"), { statusCode: 404 });
  await back.group("g").removeConnection("nobody");
  await back.group("g").removeUser("nobody");
  await back.removeUserFromAllGroups("nobody");
  await back.removeConnectionFromAllGroups("nobody");
  await back.closeConnection("nobody");
  await back.closeUserConnections("nobody");
  await back.group("g").closeAllConnections();
  await back.closeAllConnections();
  await back.sendToUser("nobody", "x", TEXT);
  await back.group("nobody").sendToAll("x", TEXT);
});

test("a group's connections are closed with a reason, and nobody else's", async () => {
  const hub = newHub();
  const back = service(hub);
  const [mark, anna] = [await connect(hub, { groups: ["g"] }), await connect(hub)];
  const { id } = mark;
  await back.group("g").closeAllConnections({ reason: "the group is closed" });
  await eventually(() => mark.disconnections.length === 1, "closed");
  assert.match(mark.disconnections[0].message.message, /the group is closed/);
  assert.equal(await back.connectionExists(id), false);
  assert.equal(await back.connectionExists(anna.id), true);
});

test("all connections of a hub are closed", async () => {
  const [hub, other] = [newHub(), newHub()];
  const [mark, anna, ines] = [await connect(hub), await connect(hub), await connect(other)];
  await service(hub).closeAllConnections({ reason: "good night" });
  for (const client of [mark, anna]) {
    await eventually(() => client.disconnections.length === 1, "closed");
    assert.match(client.disconnections[0].message.message, /good night/);
  }
  assert.equal(ines.disconnections.length, 0);
});

test("a connection that is closed is told why, and closed with 1000", async () => {
  const hub = newHub();
  const raw = await Socket.connect(hub, { subprotocols: ["json.webpubsub.azure.v1"] });
  const { connectionId } = JSON.parse(await raw.frame(0));
  await service(hub).closeConnection(connectionId, { reason: "bye bye" });
  const told = JSON.parse(await raw.frame(1));
  assert.equal(told.event, "disconnected");
  assert.match(told.message, /bye bye/);
  assert.equal((await raw.closed).code, 1000);
});

test("permissions are granted, asked for and revoked while a client is connected", async () => {
  const hub = newHub();
  const back = service(hub);
  const mark = await connect(hub);
  const forbidden = ({ errorDetail }) => errorDetail.name === "Forbidden";
  const may = (permission, targetName) => back.hasPermission(mark.id, permission, { targetName });
  const targetName = "sales/europe";

  await assert.rejects(mark.sdk.joinGroup(targetName), forbidden);
  assert.equal(await may("joinLeaveGroup", targetName), false);
  await back.grantPermission(mark.id, "joinLeaveGroup", { targetName });
  assert.equal(await may("joinLeaveGroup", targetName), true);
  assert.equal(await may("joinLeaveGroup", "other"), false);
  assert.equal(await may("sendToGroup", targetName), false);
  await mark.sdk.joinGroup(targetName);
  await assert.rejects(mark.sdk.sendToGroup(targetName, "x", "text"), forbidden);
  await back.grantPermission(mark.id, "sendToGroup", { targetName });
  await mark.sdk.sendToGroup(targetName, "x", "text");

  await back.revokePermission(mark.id, "joinLeaveGroup", { targetName });
  assert.equal(await may("joinLeaveGroup", targetName), false);
  await assert.rejects(mark.sdk.leaveGroup(targetName), forbidden);
  // It is still a member.
  await mark.sdk.sendToGroup(targetName, "y", "text");
  assert.deepEqual(await mark.data(2), ["x", "y"]);

  // Without a target, for all groups.
  await back.grantPermission(mark.id, "sendToGroup");
  assert.equal(await may("sendToGroup", "any"), true);
  await mark.sdk.sendToGroup("any", "x", "text");
  await back.revokePermission(mark.id, "sendToGroup");
  assert.equal(await may("sendToGroup", "any"), false);
  await assert.rejects(mark.sdk.sendToGroup("any", "x", "text"), forbidden);
});

test("nobody has permissions who is not connected", async () => {
  const back = service(newHub());
  assert.equal(await back.hasPermission("nobody", "sendToGroup", { targetName: "g" }), false);
  await back.revokePermission("nobody", "sendToGroup", { targetName: "g" });
  const missing = { statusCode: 404, code: "Info.Connection.NotExisted" };
  await assert.rejects(back.grantPermission("nobody", "sendToGroup", { targetName: "g" }), missing);
});

test("a message may have a time to live of up to 300 seconds", async () => {
  const hub = newHub();
  const back = service(hub);
  const mark = await connect(hub, { userId: "mark", groups: ["g"] });
  await back.sendToAll("1", { ...TEXT, messageTtlSeconds: 300 });
  await back.sendToUser("mark", "2", { ...TEXT, messageTtlSeconds: 60 });
  await back.sendToConnection(mark.id, "3", { ...TEXT, messageTtlSeconds: 1 });
  await back.group("g").sendToAll("4", { ...TEXT, messageTtlSeconds: 0 });
  assert.deepEqual(await mark.data(4), ["1", "2", "3", "4"]);
  await assert.rejects(back.sendToAll("x", { ...TEXT, messageTtlSeconds: 301 }), {
    statusCode: 400,
    code: "Error.BadRequest",
  });
  await assert.rejects(back.sendToAll("x", { ...TEXT, messageTtlSeconds: -1 }), {
    statusCode: 400,
    code: "Error.BadRequest",
  });
});

test("a group that cannot be one, and a hub that cannot be one, are told as the SDK's errors", async () => {
  const bad = (error) => {
    assert.equal(error.statusCode, 400);
    assert.equal(error.code, "Error.BadRequest");
    assert.equal(error.response.headers.get("x-ms-error-code"), "Error.BadRequest");
    return error.message.length > 0;
  };
  await assert.rejects(service(newHub()).group("x".repeat(1025)).sendToAll("x", TEXT), bad);
  await assert.rejects(service(newHub()).group(" ").sendToAll("x", TEXT), bad);
  await assert.rejects(service("1hub").sendToAll("x", TEXT), bad);
});

test("hubs are apart, and have no case", async () => {
  const [hub, other] = [newHub(), newHub()];
  const [mark, anna] = [await connect(hub, { userId: "mark" }), await connect(other, { userId: "mark" })];
  await service(hub.toUpperCase()).sendToUser("mark", "1", TEXT);
  await service(other).sendToAll("2", TEXT);
  assert.deepEqual(await mark.data(1), ["1"]);
  assert.deepEqual(await anna.data(1), ["2"]);
  assert.equal(await service(other).connectionExists(mark.id), false);
});

test("each published version of the API is taken, and no version at all, but no other", async () => {
  const hub = newHub();
  await connect(hub, { userId: "mark" });
  const status = async (query) => (await rest("HEAD", `/hubs/${hub}/users/mark${query}`)).status;
  for (const version of ["2021-10-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01"]) {
    assert.equal(await status(`?api-version=${version}`), 200, version);
  }
  assert.equal(await status(""), 200);
  assert.equal(await status("?api-version=2020-01-01"), 400);
  assert.equal(await status("?api-version=2024-12-01&api-version=2024-12-01"), 400);
});
