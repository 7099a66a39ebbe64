// The buttons that end connections, which ask first.

import { element } from "../shared/dom.js";
import { pathOf } from "./api.js";
import { ask, refuse, tell } from "./ui.js";

/** Ends one connection. */
export function disconnectButton({ api, hub, connectionId, userId, done }) {
  return button(`Disconnect ${connectionId}`, "Disconnect", {
    title: "Disconnect this connection?",
    detail: `Connection ${connectionId}${userId ? ` of ${userId}` : ""} in the hub ${hub}.`,
    close: (query) => api.send("DELETE", pathOf("hubs", hub, "connections", connectionId), query),
    told: "The connection was disconnected.",
    done,
  });
}

/** Ends all connections of a user in a hub. */
export function disconnectUserButton({ api, hub, userId, done }) {
  return button(`Disconnect all connections of ${userId}`, "Disconnect user", {
    title: "Disconnect this user?",
    detail: `All connections of ${userId} in the hub ${hub}.`,
    close: (query) => api.send("POST", `${pathOf("hubs", hub, "users", userId)}/:closeConnections`, query),
    told: `All connections of ${userId} were disconnected.`,
    done,
  });
}

function button(label, words, { title, detail, close, told, done }) {
  async function press() {
    const reason = element("input", { name: "reason", maxlength: 100 });
    const kick = element("input", { name: "kick", type: "checkbox", value: "true" });
    const fields = [
      element("label", {}, "Reason, which the client is told", reason),
      element("label", { class: "check" }, kick, "Tell the client not to come back"),
    ];
    const answer = await ask({ title, detail, action: "Disconnect", fields });
    if (!answer) return;
    try {
      await close(answer);
      tell(told);
      await done();
    } catch (error) {
      refuse(error);
    }
  }
  return element("button", { type: "button", class: "danger quiet", "aria-label": label, onclick: press }, words);
}
