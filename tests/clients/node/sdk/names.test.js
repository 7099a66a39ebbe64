// Group and user names that URLs, patterns and parsers like to stumble over, through every route of the SDK.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { cleanUp, Client, CLIENT_SDKS, eventually, newHub, service } from "./support.js";

const sdk = CLIENT_SDKS["client 1.0.4"];
const TEXT = { contentType: "text/plain" };
const ANY = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

// Not "." and "..": URLs are normalised before they leave the client.
const NAMES = [
  "sales/europe",
  "/",
  "//",
  "a/",
  "a b",
  "a+b",
  "a%2Fb",
  "%2F",
  "%252F",
  "100%",
  "ü",
  "e\u0301",
  "日本",
  "👩‍👩‍👧",
  "a.b",
  "a,b",
  "a;b=c",
  "a#b",
  "a:b",
  ":send",
  "a\\b",
  "a'b",
  'a"b',
  "a&b",
  "{group}",
  "connections",
];

afterEach(cleanUp);

test("every route takes every name of a group", async () => {
  await everyRoute(newHub(), NAMES);
});

test("where masks are off, their characters are ordinary", async () => {
  await everyRoute("literal", ["*", "a*", "sales/*", "a?b=c&d", "[ab]", "what?"]);
});

async function everyRoute(hub, names) {
  const back = service(hub);
  const mark = await Client.connect(sdk, hub, { userId: "mark", roles: ANY });
  const anna = await Client.connect(sdk, hub, { userId: "anna" });
  for (const name of names) {
    const group = back.group(name);
    mark.forget();
    assert.equal(await back.groupExists(name), false, name);
    await mark.sdk.joinGroup(name);
    assert.equal(await back.groupExists(name), true, name);
    await mark.sdk.sendToGroup(name, "by a client", "text");
    await group.sendToAll("by the back end", TEXT);
    const heard = await mark.heard(2);
    assert.deepEqual(
      heard.map((message) => message.group),
      [name, name],
    );

    await group.addConnection(anna.id);
    const members = [];
    for await (const member of await group.listConnections()) members.push(member.userId);
    assert.deepEqual(members.sort(), ["anna", "mark"], name);
    await group.removeConnection(anna.id);
    await group.removeUser("mark");
    assert.equal(await back.groupExists(name), false, name);
    await group.addUser("mark");
    await back.addConnectionsToGroups([name], "userId eq 'anna'");
    await group.sendToAll("all are back", { ...TEXT, filter: `'${name.replaceAll("'", "''")}' in groups` });
    await mark.hears("all are back");
    await anna.hears("all are back");
    anna.forget();
    await back.removeConnectionsFromGroups([name], "true");
    assert.equal(await back.groupExists(name), false, name);

    assert.equal(await back.hasPermission(anna.id, "sendToGroup", { targetName: name }), false, name);
    await back.grantPermission(anna.id, "sendToGroup", { targetName: name });
    assert.equal(await back.hasPermission(anna.id, "sendToGroup", { targetName: name }), true, name);
    await anna.sdk.sendToGroup(name, "nobody is there", "text");
    await back.revokePermission(anna.id, "sendToGroup", { targetName: name });
    await assert.rejects(
      anna.sdk.sendToGroup(name, "x", "text"),
      ({ errorDetail }) => errorDetail.name === "Forbidden",
    );

    const ines = await Client.connect(sdk, hub, {
      groups: [name],
      roles: [`webpubsub.sendToGroup.${name}`],
      autoReconnect: false,
    });
    await ines.sdk.sendToGroup(name, "by its role", "text");
    await ines.hears("by its role");
    await group.closeAllConnections();
    await eventually(() => ines.stops === 1, `closed by ${name}`);
  }
}

test("every route takes every id of a user", async () => {
  const hub = newHub();
  const back = service(hub);
  for (const userId of [...NAMES, "a?b=c&d", "user@example.com", "*", "[ab]"]) {
    assert.equal(await back.userExists(userId), false, userId);
    const mark = await Client.connect(sdk, hub, { userId, autoReconnect: false });
    assert.equal(mark.connections[0].userId, userId);
    assert.equal(await back.userExists(userId), true, userId);
    await back.sendToUser(userId, "1", TEXT);
    await back.group("g").addUser(userId);
    await back.group("g").sendToAll("2", { ...TEXT, filter: `userId eq '${userId.replaceAll("'", "''")}'` });
    await back.group("g").removeUser(userId);
    await back.group("g").addUser(userId);
    await back.removeUserFromAllGroups(userId);
    assert.equal(await back.groupExists("g"), false, userId);
    assert.deepEqual(await mark.data(2), ["1", "2"]);
    await back.closeUserConnections(userId);
    await eventually(() => mark.stops === 1, `closed: ${userId}`);
  }
});

test("where masks are on, one message reaches all groups that match", async () => {
  const hub = newHub();
  const back = service(hub);
  const mark = await Client.connect(sdk, hub, { groups: ["sales/europe", "sales/asia"] });
  await back.group("sales/*").sendToAll("once", TEXT);
  await back.group("*").sendToAll("end", TEXT);
  assert.deepEqual(await mark.data(2), ["once", "end"]);
});
