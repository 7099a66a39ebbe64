// The form before everything else. A password is not kept: what stays is the session's refresh token.

import { element } from "../shared/dom.js";
import { Session } from "../shared/session.js";
import { byId } from "./common.js";

const name = byId("login-name");
const password = byId("login-password");

/** Has somebody log in; resolves with their session. `note` says why they have to. */
export function logIn({ hub, note = "" }) {
  byId("login").hidden = false;
  byId("login-hub").textContent = hub ? `Hub ${hub}` : "";
  byId("login-note").textContent = note;
  byId("login-error").textContent = "";
  (name.value ? password : name).focus();
  showDemo();
  return new Promise((resolve) => {
    byId("login-form").onsubmit = async (event) => {
      event.preventDefault();
      const session = await attempt(hub);
      if (!session) return;
      byId("login").hidden = true;
      resolve(session);
    };
  });
}

async function attempt(hub) {
  const button = byId("login-button");
  const error = byId("login-error");
  if (button.disabled) return null;
  button.disabled = true;
  button.textContent = "Logging in…";
  error.textContent = "";
  try {
    const session = await Session.login({ login: name.value, password: password.value, hub });
    password.value = "";
    return session;
  } catch (failure) {
    error.textContent = failure.message;
    password.select();
    password.focus();
    return null;
  } finally {
    button.disabled = false;
    button.textContent = "Log in";
  }
}

/** Demo users, where the server tells of some: their passwords are public, and work from this machine only. */
async function showDemo() {
  const answer = await fetch(new URL("../../demo.json", import.meta.url), { credentials: "omit" }).catch(() => null);
  const users = answer?.ok ? await answer.json().catch(() => []) : [];
  if (!Array.isArray(users) || users.length === 0) return;
  const items = users.map((user) => {
    const choose = () => {
      name.value = user.login;
      password.value = user.password;
      byId("login-button").focus();
    };
    const about = element("span", { class: "hint" }, `${user.username}, ${user.department}`);
    return element("li", {}, element("button", { type: "button", class: "quiet", click: choose }, user.login), about);
  });
  byId("demo-users").replaceChildren(...items);
  byId("demo").hidden = false;
}
