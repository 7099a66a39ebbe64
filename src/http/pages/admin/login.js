// The form that a login and its password are typed into.

import { Session } from "../shared/session.js";
import { element } from "../shared/dom.js";

/** A form that calls `enter(session)`; what that or the login throws is shown, and something can be typed again. */
export function loginForm(notice, enter) {
  const field = (label, attributes) => {
    const input = element("input", { required: true, ...attributes });
    return [input, element("label", {}, label, input)];
  };
  const [login, loginLabel] = field("Login", { name: "login", autocomplete: "username", autofocus: true });
  const [password, passwordLabel] = field("Password", {
    name: "password",
    type: "password",
    autocomplete: "current-password",
  });
  const button = element("button", { class: "primary" }, "Log in");
  const refusal = element("p", { class: "refusal", role: "alert", id: "refusal" }, notice);

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    refusal.textContent = "";
    let session = null;
    try {
      session = await Session.login({ login: login.value, password: password.value, audience: "api" });
      await enter(session);
    } catch (error) {
      session?.end();
      refusal.textContent = error.message;
      password.value = "";
      password.focus();
    } finally {
      button.disabled = false;
    }
  }

  return element(
    "main",
    { class: "login" },
    element("h1", {}, "Folkmoot dashboard"),
    element("form", { onsubmit: submit, "aria-describedby": "refusal" }, loginLabel, passwordLabel, button, refusal),
    element("p", { class: "hint" }, "For users with the role folkmoot.admin or folkmoot.admin.read."),
  );
}
