// A server that goes away and comes back, as in an update.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { cleanUp, Client, CLIENT_SDKS, eventually, newHub, Server, service } from "./support.js";

afterEach(cleanUp);

for (const [version, sdk] of Object.entries(CLIENT_SDKS)) {
  for (const protocol of ["plain", "reliable"]) describe(`${version}, ${protocol}`, () => suite(sdk, protocol));
}

function suite(sdk, protocol) {
  test("when a server is started again its clients come back, and join their groups again", async () => {
    const server = await Server.start();
    try {
      const hub = newHub();
      const roles = ["webpubsub.joinLeaveGroup"];
      const mark = await Client.connect(sdk, hub, { protocol, roles, through: server, userId: "mark" });
      await mark.sdk.joinGroup("sales/europe");
      const { id } = mark;
      await server.end();
      await server.begin();
      // What the old server knew is gone: the new one refuses a recovery, and the SDK begins anew.
      await eventually(() => mark.connections.length === 2, "a new connection");
      assert.notEqual(mark.id, id);
      assert.match(mark.disconnections[0].message.message, /going away/);
      const back = service(hub, { connectionString: server.connectionString });
      await eventually(() => back.groupExists("sales/europe"), "joined again");
      await back.group("sales/europe").sendToAll("Welcome back.", { contentType: "text/plain" });
      assert.deepEqual(await mark.data(1), ["Welcome back."]);
      assert.equal(mark.failedJoins.length, 0);
    } finally {
      await server.remove();
    }
  });
}
