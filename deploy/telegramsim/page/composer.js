// Where the person writes, with the list of the bot's commands.

import * as api from "./api.js";
import { avatar, icon } from "./icons.js";
import { toast } from "./overlay.js";

const form = document.getElementById("form");
const input = document.getElementById("input");
const slash = document.getElementById("slash");
const list = document.getElementById("commands");
const notice = document.getElementById("notice");
const replying = document.getElementById("replying");
slash.append(icon("slash"));
document.getElementById("send").append(icon("send"));
replying.querySelector("button").append(icon("close"));

let chat = null;
let topicOf = () => null;
let commands = [];
let matching = [];
let selected = -1;
let replyTo = null;

// useComposer turns it to a chat; topic tells where a message goes.
export async function useComposer(info, topic, onGoTo) {
  const other = chat?.id !== info.id;
  chat = info;
  topicOf = topic;
  const why = refusal(info, onGoTo);
  form.hidden = Boolean(why);
  notice.hidden = !why;
  notice.replaceChildren(...(why ?? []));
  if (!other) return;
  stopReply();
  input.value = "";
  await loadCommands();
}

function refusal(info, onGoTo) {
  if (info.type === "channel") return ["Only admins write in this channel"];
  if (info.kicked) return ["The bot is no longer in this chat"];
  if (!info.migrated_to) return null;
  const go = document.createElement("button");
  go.textContent = "Open the supergroup";
  go.addEventListener("click", () => onGoTo(info.migrated_to));
  return ["This group is now a supergroup. ", go];
}

export async function loadCommands() {
  if (!chat) return;
  commands = await api.commands(chat.id);
  slash.hidden = commands.length === 0;
  input.style.paddingLeft = slash.hidden ? "14px" : "";
  drawCommands();
}

export async function send(text) {
  if (!text.trim()) return;
  try {
    await api.write(chat.id, { text, thread_id: topicOf() ?? 0, reply_to: replyTo?.id ?? 0 });
    stopReply();
  } catch (error) {
    toast(error.message);
    throw error;
  }
}

export function reply(m) {
  replyTo = m;
  replying.hidden = false;
  replying.querySelector("b").textContent = `Reply to ${m.from.first_name}`;
  replying.querySelector("span").textContent = m.text || m.document?.name || "";
  input.focus();
}

function stopReply() {
  replyTo = null;
  replying.hidden = true;
}

function drawCommands() {
  const typed = /^\/(\w*)$/.exec(input.value);
  matching = typed ? commands.filter((c) => c.command.startsWith(typed[1].toLowerCase())) : [];
  selected = matching.length ? Math.max(0, Math.min(selected, matching.length - 1)) : -1;
  const open = matching.length > 0;
  list.hidden = !open;
  input.ariaExpanded = slash.ariaExpanded = String(open);
  list.replaceChildren(...matching.map((c, i) => {
    const li = document.createElement("li");
    li.role = "option";
    li.id = `command-${i}`;
    li.ariaSelected = String(i === selected);
    const name = document.createElement("b");
    name.textContent = `/${c.command}`;
    const what = document.createElement("span");
    what.textContent = c.description;
    li.append(avatar(document.createElement("span"), { bot: true }), name, what);
    li.addEventListener("click", () => pick(c, true));
    return li;
  }));
  if (open) {
    input.setAttribute("aria-activedescendant", `command-${selected}`);
    list.children[selected].scrollIntoView({ block: "nearest" });
  } else input.removeAttribute("aria-activedescendant");
}

function pick(command, now) {
  input.value = now ? "" : `/${command.command} `;
  if (now) send(`/${command.command}`).catch(() => {});
  drawCommands();
  input.focus();
}

form.addEventListener("submit", async (e) => {
  e.preventDefault();
  const text = input.value;
  input.value = "";
  drawCommands();
  try {
    await send(text);
  } catch {
    input.value = text;
  }
});

input.addEventListener("input", () => { selected = 0; drawCommands(); });

input.addEventListener("keydown", (e) => {
  const open = !list.hidden;
  if (open && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
    e.preventDefault();
    selected = (selected + (e.key === "ArrowDown" ? 1 : -1) + matching.length) % matching.length;
    drawCommands();
  } else if (open && e.key === "Tab") {
    e.preventDefault();
    pick(matching[selected], false);
  } else if (e.key === "Escape" && (open || replyTo)) {
    e.stopPropagation();
    if (open) { input.value = ""; drawCommands(); } else stopReply();
  } else if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
    e.preventDefault();
    if (open && matching[selected].command !== input.value.slice(1)) pick(matching[selected], true);
    else form.requestSubmit();
  }
});

slash.addEventListener("click", () => {
  input.value = list.hidden ? "/" : "";
  selected = 0;
  drawCommands();
  input.focus();
});
replying.querySelector("button").addEventListener("click", stopReply);
