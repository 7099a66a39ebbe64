// `filter`: which of the receivers get a message, and who is put into groups.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { cleanUp, Client, CLIENT_SDKS, newHub, service, Socket } from "./support.js";

const sdk = CLIENT_SDKS["client 1.0.4"];
const TEXT = { contentType: "text/plain" };

afterEach(cleanUp);

/** Four clients: mark in "sales", anna in "sales" and "leads", "vic's" in nothing, and one without a user. */
async function office() {
  const hub = newHub();
  const mark = await Client.connect(sdk, hub, { userId: "mark", groups: ["sales"] });
  const anna = await Client.connect(sdk, hub, { userId: "anna", groups: ["sales", "leads"], protocol: "plain" });
  const vic = await Client.connect(sdk, hub, { userId: "vic's" });
  const nobody = await Client.connect(sdk, hub);
  return { hub, back: service(hub), everybody: { mark, anna, vic, nobody } };
}

/** Who gets what is sent under each filter. */
async function reached(send, { back, everybody }, filters) {
  for (const filter of Object.keys(filters)) await send(filter, { ...TEXT, filter });
  await back.sendToAll("end", TEXT);
  const heard = Object.fromEntries(Object.keys(filters).map((filter) => [filter, ""]));
  for (const [name, client] of Object.entries(everybody)) {
    await client.hears("end");
    for (const { data } of client.messages) if (data !== "end") heard[data] = `${heard[data]} ${name}`.trim();
  }
  assert.deepEqual(heard, filters);
}

test("a filter chooses among all connections of a hub", async () => {
  const all = await office();
  const { mark } = all.everybody;
  await reached((text, options) => all.back.sendToAll(text, options), all, {
    "userId eq 'mark'": "mark",
    "userId ne 'mark'": "anna vic nobody",
    "userId eq 'vic''s'": "vic",
    "userId eq null": "nobody",
    "userId in ('mark', 'anna')": "mark anna",
    "'leads' in groups": "anna",
    "not ('sales' in groups)": "vic nobody",
    "'sales' in groups and not ('leads' in groups)": "mark",
    "startswith(userId, 'm') or endswith(userId, 'a')": "mark anna",
    "contains(tolower(userId), 'AR')": "",
    "toupper(userId) eq 'MARK'": "mark",
    "length(userId) gt 4": "vic",
    "length(groups) eq 2": "anna",
    "substring(userId, 1, 2) eq 'nn'": "anna",
    "indexof(userId, 'c') eq 2": "vic",
    "concat(userId, '!') eq 'mark!'": "mark",
    "trim(' mark ') eq userId": "mark",
    [`connectionId eq '${mark.id}'`]: "mark",
    true: "mark anna vic nobody",
    false: "",
  });
});

test("a filter chooses among a group's members and a user's connections", async () => {
  const all = await office();
  await reached((text, options) => all.back.group("sales").sendToAll(text, options), all, {
    "'leads' in groups": "anna",
    "length(groups) le 1": "mark",
  });
  for (const client of Object.values(all.everybody)) client.forget();
  await reached((text, options) => all.back.sendToUser("anna", text, options), all, {
    "'leads' in groups": "anna",
    "'x' in groups": "",
  });
});

test("a filter and excluded connections hold together", async () => {
  const {
    back,
    everybody: { mark, anna },
  } = await office();
  await back.sendToAll("1", { ...TEXT, filter: "'sales' in groups", excludedConnections: [mark.id] });
  await back.sendToAll("end", TEXT);
  assert.deepEqual(await anna.data(2), ["1", "end"]);
  assert.deepEqual(await mark.data(1), ["end"]);
});

test("who fits a filter is put into groups, and taken out of them", async () => {
  const {
    back,
    everybody: { mark, anna, vic },
  } = await office();
  await back.addConnectionsToGroups(["a", "b/ü"], "startswith(userId, 'm') or 'leads' in groups");
  await back.group("a").sendToAll("a", TEXT);
  await back.group("b/ü").sendToAll("b", TEXT);
  await back.removeConnectionsFromGroups(["a"], "userId eq 'mark'");
  await back.group("a").sendToAll("a again", TEXT);
  await back.sendToAll("end", TEXT);
  assert.deepEqual(await mark.data(3), ["a", "b", "end"]);
  assert.deepEqual(await anna.data(4), ["a", "b", "a again", "end"]);
  assert.deepEqual(await vic.data(1), ["end"]);
});

test("a filter that is wrong is refused before anything is delivered", async () => {
  const {
    back,
    everybody: { mark },
  } = await office();
  const wrong = [
    "userId",
    "userId eq",
    "userId gt 'a'",
    "not length(userId) gt 5",
    "nope eq 1",
    "userId eq 'x",
    "true and 1",
    "(".repeat(200) + "true" + ")".repeat(200),
  ];
  const refused = { statusCode: 400, code: "Error.BadRequest" };
  for (const filter of wrong) {
    await assert.rejects(back.sendToAll("x", { ...TEXT, filter }), refused, filter);
    await assert.rejects(back.group("sales").sendToAll("x", { ...TEXT, filter }), refused, filter);
    await assert.rejects(back.sendToUser("mark", "x", { ...TEXT, filter }), refused, filter);
    await assert.rejects(back.addConnectionsToGroups(["sales"], filter), refused, filter);
    await assert.rejects(back.removeConnectionsFromGroups(["sales"], filter), refused, filter);
  }
  await assert.rejects(back.addConnectionsToGroups([], "true"), refused);
  await back.sendToAll("end", TEXT);
  assert.deepEqual(await mark.data(1), ["end"]);
});

test("a raw client has no subprotocol to filter by", async () => {
  const {
    hub,
    back,
    everybody: { mark, anna },
  } = await office();
  const raw = await Socket.connect(hub);
  await back.sendToAll("raw", { ...TEXT, filter: "protocol eq null" });
  await back.sendToAll("plain", { ...TEXT, filter: "protocol eq 'json.webpubsub.azure.v1'" });
  await back.sendToAll("end", TEXT);
  await raw.frame(1);
  assert.deepEqual(raw.frames, ["raw", "end"]);
  assert.deepEqual(await anna.data(2), ["plain", "end"]);
  assert.deepEqual(await mark.data(1), ["end"]);
});
