// The chat page: a session, a connection, and what is made of the frames that come over it.

import { Connection } from "../shared/connection.js";
import { Session } from "../shared/session.js";
import { keepChoices, recallChoices } from "./choices.js";
import { byId } from "./common.js";
import { Composer } from "./composer.js";
import { Conversations } from "./conversations.js";
import { Frames } from "./frames.js";
import { listenToKeys } from "./keyboard.js";
import { Log } from "./log.js";
import { logIn } from "./login.js";
import { Members } from "./members.js";
import { Membership } from "./membership.js";
import { contentOf } from "./messages.js";
import { Panes } from "./panes.js";
import { nameOf, remember } from "./people.js";
import { Sidebar } from "./sidebar.js";
import { Status } from "./status.js";

// `/?hub=support` is the chat of another hub than the default one.
const hub = new URLSearchParams(location.search).get("hub") || undefined;

let session = Session.restore();
let choices = session && recallChoices(session.login, hub);
let lostAt = null;

const connection = new Connection({ token: () => session.token({ hub }) });
const conversations = new Conversations();
const membership = new Membership(connection, conversations);
const composer = new Composer({ connection, conversations });
const frames = new Frames(connection);
const panes = new Panes(frames);
const members = new Members(conversations);
const status = new Status(connection);
const sidebar = new Sidebar({
  conversations,
  membership,
  connection,
  onChosen: () => {
    panes.show("talk");
    composer.focus();
  },
});
new Log(conversations, { onRetry: (message) => composer.retry(message) });
listenToKeys({ sidebar, composer, panes });

connection.addEventListener("connected", ({ detail }) => connected(detail));
connection.addEventListener("message", ({ detail }) => heard(detail));
connection.addEventListener("state", ({ detail }) => changed(detail));
conversations.addEventListener("selected", () => membership.refresh());
document.addEventListener("visibilitychange", () => conversations.read());
byId("leave").addEventListener("click", leave);
byId("logout").addEventListener("click", () => logOut("You are logged out."));
const open = () => conversations.selected?.name ?? choices?.open ?? null;
keepChoices(() => session?.login, () => ({ hub: hub ?? null, open: open(), ...membership.choices }));
begin();

async function begin(note) {
  session ??= await logIn({ hub, note });
  if (choices) membership.choices = choices;
  byId("chat").hidden = false;
  connection.open();
}

function connected({ userId, user, groups }) {
  remember(userId, user);
  members.me = userId;
  composer.me = userId;
  byId("me").textContent = nameOf(userId, user);
  byId("hub").textContent = hub ?? "";
  if (lostAt) noteGap(lostAt);
  const isFirst = lostAt === null && conversations.list.length === 0;
  lostAt = null;
  const joined = membership.resume(groups ?? []);
  if (choices) reopen(choices.open, joined);
  choices = null;
  if (isFirst) composer.focus();
}

/** After a reload: what was open is open again, unless somebody has gone elsewhere meanwhile. */
async function reopen(name, joined) {
  const before = conversations.selected;
  await joined;
  const conversation = conversations.get(name);
  if (conversation && (conversations.selected === before || before === null)) conversations.select(conversation);
}

function changed({ state, reason, final }) {
  composer.update();
  if (state === "waiting" || state === "closed") lostAt ??= byId("chat").hidden ? null : Date.now();
  // The session is over: the server wants to see a password again.
  if (final) logOut(`${reason}.`);
}

/** At most once is what the server promises: what was said meanwhile is not here. */
function noteGap(since) {
  const seconds = Math.max(1, Math.round((Date.now() - since) / 1000));
  const text = `Not connected for ${seconds} s: what was said meanwhile is missing here.`;
  for (const conversation of conversations.list) {
    conversations.put(conversation, { kind: "note", text, at: Date.now() });
  }
}

function heard(frame) {
  if (frame.from !== "group") {
    const selected = conversations.selected;
    const content = contentOf(frame);
    if (selected) conversations.put(selected, { ...content, at: Date.now(), user: { username: "Server" } }, { counts: true });
    return;
  }
  let conversation = conversations.of(frame.group);
  if (!conversation && membership.isLeaving(frame.group)) return;
  // Neither: somebody else, the server say, has put us into the group.
  conversation ??= conversations.add(frame.group);
  const within = conversation.name === frame.group ? undefined : frame.group;
  const at = Date.now();
  if (frame.dropped) {
    const text = `${frame.dropped} messages were dropped here, because this page was too slow for them.`;
    conversations.put(conversation, { kind: "note", text, at });
  }
  if (frame.announcement) membership.announced(conversation, frame.group, frame.announcement);
  const message = { ...contentOf(frame), at, within, mask: frame.mask, userId: frame.fromUserId ?? null };
  if (!frame.fromUserId && !frame.announcement) message.user = { username: "Server" };
  conversations.put(conversation, message, { counts: !frame.announcement });
}

async function leave() {
  const selected = conversations.selected;
  if (!selected) return;
  try {
    await membership.leave(selected.name);
    composer.focus();
  } catch (error) {
    conversations.put(selected, { kind: "note", text: `You are still here: ${error.message}`, at: Date.now() });
  }
}

function logOut(note) {
  session?.end();
  session = null;
  choices = null;
  lostAt = null;
  byId("chat").hidden = true;
  if (connection.state !== "closed") connection.close();
  lostAt = null;
  membership.stop();
  conversations.clear();
  sidebar.reset();
  frames.clear();
  status.reset();
  begin(note);
}
