// Sends a message to a group or to all groups of a mask, and says beforehand how many it would reach.

import { element } from "../shared/dom.js";
import { pathOf } from "./api.js";
import { plural } from "./format.js";
import { refuse, tell } from "./ui.js";

const PREVIEW_AFTER_MS = 250;

export function send({ api, hub, query, mayWrite }) {
  let timer = 0;
  let underWay = new AbortController();
  const target = element("input", { name: "target", required: true, value: query.group ?? "", oninput: () => later() });
  const preview = element("p", { class: "preview", role: "status", id: "preview" });
  const type = element(
    "select",
    { name: "type" },
    element("option", { value: "text/plain" }, "text"),
    element("option", { value: "application/json" }, "JSON"),
  );
  const message = element("textarea", { name: "message", rows: 5, required: true });
  const button = element("button", { class: "primary" }, "Send");

  function later() {
    clearTimeout(timer);
    timer = setTimeout(() => count(), PREVIEW_AFTER_MS);
  }

  async function count() {
    underWay.abort();
    const { signal } = (underWay = new AbortController());
    preview.textContent = "";
    if (!target.value) return;
    try {
      const path = `${pathOf("hubs", hub, "groups", target.value)}/:count`;
      const { connections, groups } = await api.get(path, {}, signal);
      preview.textContent = `Would reach ${plural(connections, "connection")} in ${plural(groups, "group")}.`;
    } catch (error) {
      if (!signal.aborted) preview.textContent = error.message;
    }
  }

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      if (type.value === "application/json") checkJson(message.value);
      const path = `${pathOf("hubs", hub, "groups", target.value)}/:send`;
      const answer = await api.send("POST", path, {}, message.value, type.value);
      const groups = answer.headers.get("folkmoot-delivered-groups");
      tell(groups === null ? "Sent." : `Sent to ${plural(Number(groups), "group")}.`);
      message.value = "";
      message.focus();
    } catch (error) {
      refuse(error);
    } finally {
      button.disabled = false;
    }
    count();
  }

  if (mayWrite) count();
  const form = element(
    "form",
    { class: "send", onsubmit: submit },
    element("label", {}, "Group or mask", target),
    preview,
    element("label", {}, "As", type),
    element("label", {}, "Message", message),
    button,
  );
  target.setAttribute("aria-describedby", "preview");
  return {
    title: `Send in ${hub}`,
    element: mayWrite ? form : element("p", {}, "Sending takes the role folkmoot.admin."),
    close() {
      clearTimeout(timer);
      underWay.abort();
    },
  };
}

function checkJson(written) {
  try {
    JSON.parse(written);
  } catch (error) {
    throw new Error(`This is no JSON: ${error.message}`);
  }
}
