// The list of chats at the left.

import { avatar } from "./icons.js";
import { dayOf, timeOf } from "./bubble.js";

const box = document.getElementById("chats");

const el = (tag, className, ...children) => {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
};

// drawList shows the chats, the newest message first.
export function drawList({ chats, current, person, unread, onOpen }) {
  const newest = (c) => (c.last ? Date.parse(c.last.date) : 0);
  const sorted = [...chats].filter((c) => !c.migrated_to).sort((a, b) => newest(b) - newest(a));
  const focused = document.activeElement?.closest?.(".chat")?.dataset.chat;
  box.replaceChildren(...sorted.map((c) => {
    const row = el("button", "chat", avatar(el("span"), { id: c.id, name: c.title, bot: c.type === "private" }));
    row.dataset.chat = c.id;
    if (c.id === current) row.ariaCurrent = "true";
    const count = unread(c);
    const top = el("span", "line", el("span", "title", c.title));
    const bottom = el("span", "line", preview(c, person));
    if (c.last) top.append(el("time", "", dayOf(c.last) === "Today" ? timeOf(c.last) : dayOf(c.last)));
    if (count) {
      const badge = el("span", `badge${c.last.silent ? " quiet" : ""}`, count > 999 ? "999+" : `${count}`);
      badge.ariaLabel = `${count} unread`;
      bottom.append(badge);
    }
    row.append(el("span", "lines", top, bottom));
    row.addEventListener("click", () => onOpen(c.id));
    return row;
  }));
  if (focused) box.querySelector(`[data-chat="${focused}"]`)?.focus();
}

function preview(c, person) {
  const m = c.last;
  const line = el("span", "preview");
  if (!m) line.append("No messages yet");
  else if (m.service) line.append(m.service);
  else {
    if (c.type !== "private" && c.type !== "channel") {
      line.append(el("b", "", m.from.id === person.id ? "You: " : `${m.from.first_name}: `));
    }
    const text = m.text.slice(0, 160).replace(/\s+/g, " ");
    line.append(m.document ? `📎 ${text || m.document.name}` : text);
  }
  return line;
}

// Arrow keys walk through the list.
box.addEventListener("keydown", (e) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
  const rows = [...box.children];
  const at = rows.indexOf(document.activeElement);
  if (!step || at < 0) return;
  e.preventDefault();
  rows[Math.min(rows.length - 1, Math.max(0, at + step))].focus();
});
