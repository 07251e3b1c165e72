// The page: it reads the state, listens to what happens and shows the chat
// that the address names (#<chat id>).

import * as api from "./api.js";
import { drawList } from "./chatlist.js";
import { loadCommands, reply, send, useComposer } from "./composer.js";
import { avatar, icon } from "./icons.js";
import { alertBox, toast } from "./overlay.js";
import { answered, closeThread, isSeen, openThread, openTopic, removeMessage, showMessage } from "./thread.js";

const $ = (id) => document.getElementById(id);
$("back").append(icon("back"));

let bot, person;
let chats = new Map();
let current = null; // chat id
let connected = false;
const pressed = new Set(); // callbacks of this page

// What was read is remembered by the newest id seen; an id beyond the chat's
// newest is from an earlier run of the server.
const readKey = (id) => `read:${id}`;
function lastRead(c) {
  const id = Number(localStorage.getItem(readKey(c.id)) ?? 0);
  return id > (c.last?.id ?? 0) ? 0 : id;
}
const unread = (c) => (c.last ? c.last.id - lastRead(c) : 0);

function markRead() {
  const c = chats.get(current);
  if (!c?.last || lastRead(c) === c.last.id) return;
  localStorage.setItem(readKey(current), c.last.id);
  drawChats();
}

// drawChats draws once a frame, however much arrives.
let drawing = 0;
function drawChats() {
  drawing ||= requestAnimationFrame(drawChatsNow);
}

function drawChatsNow() {
  drawing = 0;
  drawList({ chats: chats.values(), current, person, unread, onOpen: open });
  const total = [...chats.values()].reduce((n, c) => n + (c.migrated_to ? 0 : unread(c)), 0);
  document.title = `${total ? `(${total}) ` : ""}Telegram · simulated`;
}

const open = (id) => { location.hash = `#${id}`; };

async function route() {
  const id = Number(location.hash.slice(1));
  const c = chats.get(id);
  const before = current;
  current = c ? id : null;
  $("app").classList.toggle("reading", Boolean(c));
  $("thread").hidden = !c;
  drawChats();
  if (!c) return closeThread();
  await openChat(c, id === before ? openTopic() : null);
  if (id !== before && matchMedia("(hover: hover)").matches) $("input").focus();
}

async function openChat(c, topic) {
  drawHeader();
  drawTopics(c, topic);
  useComposer(c, openTopic, open);
  await openThread(c, topic, { person, act: { press, reply, command: (text) => send(text).catch(() => {}) } }, markRead);
  markRead();
}

function drawHeader() {
  const c = chats.get(current);
  if (!c) return;
  avatar($("thread-avatar"), { id: c.id, name: c.title, bot: c.type === "private" });
  $("thread-title").textContent = c.title;
  const kind = { private: "bot", channel: "channel" }[c.type] ?? (c.kicked ? "1 member" : "2 members");
  $("thread-status").textContent = connected ? kind : "connecting";
  $("thread-status").classList.toggle("busy", !connected);
}

function drawTopics(c, topic) {
  const box = $("topics");
  box.hidden = !c.forum;
  const all = [[null, "All"], [0, "General"], ...(c.topics ?? []).map((t) => [t.id, t.title])];
  box.replaceChildren(...all.map(([id, title]) => {
    const button = document.createElement("button");
    button.textContent = title;
    button.ariaPressed = String(id === topic);
    button.addEventListener("click", () => openChat(c, id));
    return button;
  }));
}

async function press(m, row, column, button) {
  if (button.ariaBusy === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    const { callback_id: id } = await api.press(m.chat_id, { message_id: m.id, row, column });
    pressed.add(id);
    setTimeout(() => button.removeAttribute("aria-busy"), 30e3); // whatever gets lost
  } catch (error) {
    button.removeAttribute("aria-busy");
    toast(error.message);
  }
}

function setConnected(now) {
  connected = now;
  drawHeader();
}

api.listen({
  async hello() {
    const state = await api.state();
    ({ bot, person } = state);
    chats = new Map(state.chats.map((c) => [c.id, c]));
    setConnected(true);
    // A wide window with nothing chosen shows the chat where something happens.
    const wide = matchMedia("(min-width: 701px)").matches;
    if (wide && !location.hash && chats.size) {
      const newest = [...chats.values()].sort((a, b) => Date.parse(b.last?.date ?? 0) - Date.parse(a.last?.date ?? 0))[0];
      history.replaceState(null, "", `#${newest.id}`);
    }
    await route();
  },
  lost: () => setConnected(false),
  message({ message }) {
    const c = chats.get(message.chat_id);
    if (!c) return;
    if (!c.last || message.id >= c.last.id) c.last = message;
    showMessage(message);
    if (message.chat_id === current && isSeen()) markRead();
    drawChats();
  },
  delete: ({ chat_id, message_id }) => removeMessage(chat_id, message_id),
  callback({ chat_id, message_id, callback_id, row, column, answer }) {
    if (chat_id === current) answered(message_id, row, column);
    if (!pressed.delete(callback_id)) return;
    if (answer.alert) alertBox(bot.first_name, answer.text ?? "");
    else if (answer.text) toast(answer.text);
    if (answer.url) window.open(answer.url, "_blank", "noopener");
  },
  chat({ chat }) {
    chats.set(chat.id, chat);
    drawChats();
    if (chat.id === current) {
      drawHeader();
      drawTopics(chat, openTopic());
      useComposer(chat, openTopic, open);
    }
  },
  commands: () => loadCommands(),
});

addEventListener("hashchange", route);
$("back").addEventListener("click", () => { location.hash = ""; });
addEventListener("keydown", (e) => {
  if (e.key === "Escape" && !$("alert").open && current !== null) location.hash = "";
});
