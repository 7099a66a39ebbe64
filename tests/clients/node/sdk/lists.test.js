// The members of a group, page by page.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { cleanUp, newHub, rest, service, Socket } from "./support.js";

const MEMBERS = 1_050;

afterEach(cleanUp);

async function all(members) {
  const found = [];
  for await (const member of members) found.push(member);
  return found;
}

test("more than a thousand members are listed page by page, each exactly once", async () => {
  const hub = newHub();
  const group = service(hub).group("sales/all of them");
  assert.deepEqual(await all(await group.listConnections()), []);
  for (let begun = 0; begun < MEMBERS; begun += 50) {
    const some = Array.from({ length: 50 }, (_, n) =>
      Socket.connect(hub, { userId: `user-${begun + n}`, groups: [group.groupName] }),
    );
    await Promise.all(some);
  }
  const members = await all(await group.listConnections());
  assert.equal(members.length, MEMBERS);
  assert.equal(new Set(members.map((member) => member.connectionId)).size, MEMBERS);
  assert.equal(new Set(members.map((member) => member.userId)).size, MEMBERS);

  // In pages of a size that one chooses.
  const sizes = [];
  for await (const page of (await group.listConnections({ maxPageSize: 100 })).byPage()) sizes.push(page.length);
  assert.deepEqual(sizes, [...Array(10).fill(100), 50]);

  // Only so many of them.
  const first = await all(await group.listConnections({ top: 250, maxPageSize: 100 }));
  assert.deepEqual(first, members.slice(0, 250));

  // From a place on that a page gave, as the API's URL or as its token.
  const answer = await rest(
    "GET",
    `/hubs/${hub}/groups/${encodeURIComponent(group.groupName)}/connections?maxpagesize=200`,
  );
  const { nextLink } = await answer.json();
  const behind = (await group.listConnections()).byPage({ continuationToken: nextLink });
  assert.deepEqual((await all(behind)).flat(), members.slice(200));
  const continuationToken = new URL(nextLink).searchParams.get("continuationToken");
  assert.deepEqual(await all(await group.listConnections({ continuationToken })), members.slice(200));
});

test("a member without a user has no userId", async () => {
  const hub = newHub();
  await Socket.connect(hub, { groups: ["g"] });
  const [member, ...others] = await all(await service(hub).group("g").listConnections());
  assert.match(member.connectionId, /^[0-9a-f]{32}$/);
  assert.ok(!member.userId);
  assert.equal(others.length, 0);
});

test("what is no page is refused", async () => {
  const group = service(newHub()).group("g");
  for (const wrong of [{ maxPageSize: 0 }, { top: 0 }, { maxPageSize: -1 }]) {
    await assert.rejects(
      async () => all(await group.listConnections(wrong)),
      { statusCode: 400 },
      JSON.stringify(wrong),
    );
  }
});
