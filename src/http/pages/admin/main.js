// The dashboard: logs somebody in, then shows the view that the address names. Views know nothing of one another.

import { Session } from "../shared/session.js";
import { replace } from "../shared/dom.js";
import { Api } from "./api.js";
import { Live } from "./live.js";
import { loginForm } from "./login.js";
import { Shell } from "./shell.js";

const app = document.getElementById("app");

async function start() {
  const session = Session.restore();
  if (!session) return askForLogin("");
  await enter(session).catch((error) => {
    session.end();
    askForLogin(error.message);
  });
}

function askForLogin(notice) {
  document.title = "Log in – Folkmoot dashboard";
  replace(app, loginForm(notice, enter));
}

/** Shows the dashboard to somebody who is logged in. Throws for one who may not see it. */
async function enter(session) {
  let shell = null;
  const ended = (message) => {
    live.close();
    shell?.close();
    session.end();
    askForLogin(message);
  };
  const api = new Api(session, ended);
  const live = new Live(session, api, ended);
  const { access } = await api.get("me");
  shell = new Shell({ api, live, login: session.login, mayWrite: access === "all", logOut: () => ended("") });
  replace(app, shell.element);
  live.open();
  await shell.show();
}

start();
