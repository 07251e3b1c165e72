// One message as an element of the thread.

import { fileURL } from "./api.js";
import { avatar, hue, icon, tail } from "./icons.js";
import { richText } from "./richtext.js";

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const full = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });
const dayThisYear = new Intl.DateTimeFormat([], { day: "numeric", month: "long" });
const dayOther = new Intl.DateTimeFormat([], { day: "numeric", month: "long", year: "numeric" });

export const timeOf = (m) => clock.format(new Date(m.date));

export function dayOf(m) {
  const date = new Date(m.date), today = new Date();
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (date.toDateString() === today.toDateString()) return "Today";
  if (date.toDateString() === yesterday.toDateString()) return "Yesterday";
  return (date.getFullYear() === today.getFullYear() ? dayThisYear : dayOther).format(date);
}

const el = (tag, className, ...children) => {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
};

// daySection holds the messages of one day, in its last child.
export function daySection(day) {
  const section = el("section", "", el("div", "day", el("span", "", day)), el("ol"));
  section.dataset.day = day;
  return section;
}

// bubble builds a message. act has what can be done with it: press, reply,
// show (another message), command.
export function bubble(m, { person, topic, act }) {
  if (m.service) return tagged(el("li", "service", el("span", "", m.service)), m);
  const mine = !m.from_bot && m.from.id === person.id;
  const li = tagged(el("li", `message${mine ? " mine" : ""}`), m);
  const who = m.from.first_name + (m.from.last_name ? ` ${m.from.last_name}` : "");
  if (!mine) li.append(avatar(el("span"), { id: m.from.id, name: who, bot: m.from_bot }));
  const body = el("div", "body");
  const box = el("div", "bubble");
  body.append(box);
  li.append(body);
  box.append(sender(m, who, topic));
  if (m.reply_to) box.append(quote(m.reply_to, act));
  if (m.document) box.append(file(m.document));
  const text = el("div", "text");
  text.append(richText(m.html, act.command), meta(m, mine));
  box.append(text, tail());
  if (m.keyboard) body.append(keyboard(m, act));
  const reply = el("button", "icon reply", icon("reply"));
  reply.ariaLabel = reply.title = "Reply";
  reply.addEventListener("click", () => act.reply(m));
  body.append(reply);
  return li;
}

function tagged(li, m) {
  li.dataset.id = m.id;
  return li;
}

function sender(m, who, topic) {
  const line = el("div", `sender name-${m.from_bot ? 5 : hue(m.from.id)}`, who);
  if (topic) line.append(el("span", "topic", ` › ${topic}`));
  return line;
}

function quote(to, act) {
  const q = el("button", "quote", el("b", "", to.from || "Deleted message"), el("span", "", to.text || "…"));
  q.ariaLabel = `In reply to ${to.from}: ${to.text}`;
  q.addEventListener("click", () => act.show(to.message_id));
  return q;
}

function file(d) {
  const a = el("a", "file", el("span", "disc", icon("file")),
    el("span", "", el("b", "", d.name), el("small", "", `${size(d.size)} · ${d.name.split(".").pop().toUpperCase()}`)));
  a.href = fileURL(d);
  a.download = d.name;
  return a;
}

function size(bytes) {
  const units = ["B", "KB", "MB"];
  let i = 0;
  for (; bytes >= 1024 && i < 2; i++) bytes /= 1024;
  return `${bytes.toFixed(i && bytes < 100 ? 1 : 0)} ${units[i]}`;
}

function meta(m, mine) {
  const box = el("span", "meta");
  box.title = full.format(new Date(m.date)) +
    (m.edit_date ? `\nEdited ${full.format(new Date(m.edit_date))}${m.edits > 1 ? `, ${m.edits} times` : ""}` : "") +
    (m.silent ? "\nSent without sound" : "");
  if (m.silent) box.append(icon("muted"));
  if (m.edits) box.append(el("span", "", "edited"));
  box.append(el("time", "", timeOf(m)));
  if (mine) box.append(icon("ticks", "ticks"));
  return box;
}

function keyboard(m, act) {
  const box = el("div", "keyboard");
  m.keyboard.forEach((row, r) => box.append(el("div", "", ...row.map((b, c) => {
    if (b.url) {
      const a = el("a", "", b.text, icon("open"));
      a.href = b.url;
      a.target = "_blank";
      a.rel = "noopener noreferrer";
      return a;
    }
    const button = el("button", "", b.text);
    button.type = "button";
    button.dataset.at = `${r}:${c}`;
    button.addEventListener("click", () => act.press(m, r, c, button));
    return button;
  }))));
  return box;
}
