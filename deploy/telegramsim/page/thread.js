// The messages of the open chat. It keeps to the newest one unless the reader
// has scrolled up.

import * as api from "./api.js";
import { bubble, dayOf, daySection } from "./bubble.js";
import { icon } from "./icons.js";
import { toast } from "./overlay.js";

const box = document.getElementById("messages");
const column = document.getElementById("column");
const down = document.getElementById("down");
const badge = down.querySelector(".badge");
down.prepend(icon("down"));

const kept = 300; // messages, while the newest is in sight

let chat = null; // ChatInfo
let topic = null; // its id; 0 is General; null shows all
let context = null; // what bubbles need
let messages = []; // ascending ids
let whole = false; // nothing older is left to load
let loading = false;
let missed = 0; // arrived while scrolled up
let onSeen = () => {};

// The reader follows until they scroll up, and again once they are back at the
// end. Where the page scrolls by itself, smoothly, doesn't count.
let following = true;
let lastTop = 0;
const atBottom = () => box.scrollHeight - box.scrollTop - box.clientHeight < 60;
const shown = (m) => topic === null || (m.thread_id ?? 0) === topic;
const find = (id) => column.querySelector(`[data-id="${id}"]`);

export const isSeen = () => following && !document.hidden;
export const openTopic = () => topic;

// openThread shows a chat from its newest message on. Opened again, as after a
// lost connection, readers who had scrolled up stay where they were.
export async function openThread(info, showTopic, ctx, seen) {
  const again = chat?.id === info.id && topic === showTopic;
  const anchor = again && !following ? topmost() : null;
  chat = info;
  topic = showTopic;
  context = ctx;
  onSeen = seen;
  const got = await api.messages(info.id);
  if (chat?.id !== info.id) return; // another one was opened meanwhile
  messages = got;
  whole = got.length < 100;
  draw();
  const place = anchor && find(anchor);
  following = !place;
  if (following) missed = 0;
  if (place) place.scrollIntoView({ block: "start" });
  else toBottom("instant");
  drawDown();
}

// topmost is the id of the first message in sight.
function topmost() {
  const top = box.getBoundingClientRect().top;
  return [...column.querySelectorAll("[data-id]")].find((li) => li.getBoundingClientRect().bottom > top)?.dataset.id;
}

export function closeThread() {
  chat = null;
  messages = [];
  column.replaceChildren();
}

function draw() {
  column.className = `column${chat.type === "private" || chat.type === "channel" ? "" : " group"}`;
  column.replaceChildren();
  for (const m of messages.filter(shown)) append(m);
  regroup();
}

// append adds a message to its day, which keeps its name in sight.
function append(m) {
  const day = dayOf(m);
  if (column.lastElementChild?.dataset.day !== day) column.append(daySection(day));
  const li = build(m);
  column.lastElementChild.lastElementChild.append(li);
  return li;
}

function build(m) {
  const name = chat.forum && topic === null
    ? chat.topics?.find((t) => t.id === m.thread_id)?.title ?? "General" : "";
  return bubble(m, { ...context, topic: name, act: { ...context.act, show: pointAt } });
}

// regroup marks where a run of messages of one sender begins and ends: among
// all of them, or the newest few.
function regroup(newest = Infinity) {
  const visible = messages.filter(shown);
  for (let i = Math.max(0, visible.length - newest); i < visible.length; i++) {
    const li = find(visible[i].id);
    if (!li || visible[i].service) continue;
    li.classList.toggle("first", !together(visible[i - 1], visible[i]));
    li.classList.toggle("last", !together(visible[i], visible[i + 1]));
  }
}

// shorten keeps the page light when it is left open on a busy chat.
function shorten() {
  if (messages.length <= kept + 100) return;
  for (const m of messages.splice(0, messages.length - kept)) find(m.id)?.remove();
  for (const section of [...column.children]) section.querySelector("[data-id]") || section.remove();
  whole = false;
}

function together(a, b) {
  return Boolean(a && b && !a.service && !b.service && a.from.id === b.from.id &&
    (topic !== null || a.thread_id === b.thread_id) && Date.parse(b.date) - Date.parse(a.date) < 5 * 60e3);
}

// showMessage puts a new or changed message into the thread.
export function showMessage(m) {
  if (m.chat_id !== chat?.id) return;
  const i = messages.findIndex((old) => old.id === m.id);
  if (i >= 0) {
    const changed = messages[i].edits !== m.edits;
    messages[i] = m;
    const old = find(m.id);
    if (!old) return;
    const next = build(m);
    if (changed) next.classList.add("changed");
    old.replaceWith(next);
    regroup();
  } else {
    messages.push(m);
    if (!shown(m)) return;
    append(m).classList.add("arriving");
    if (following) shorten();
    regroup(2);
    if (m.from.id === context.person.id && !m.from_bot) following = true;
    if (!following) missed++;
  }
  if (following) toBottom(i >= 0 ? "instant" : "smooth");
  drawDown();
}

export function removeMessage(chatID, id) {
  if (chatID !== chat?.id) return;
  messages = messages.filter((m) => m.id !== id);
  const li = find(id);
  li?.classList.add("leaving");
  setTimeout(() => { li?.remove(); regroup(); }, 200);
}

// answered ends a pressed button's wait.
export function answered(messageID, row, column_) {
  find(messageID)?.querySelector(`[data-at="${row}:${column_}"]`)?.removeAttribute("aria-busy");
}

function pointAt(id) {
  const li = find(id);
  if (!li) return toast("That message is further up or gone");
  li.scrollIntoView({ block: "center", behavior: "smooth" });
  li.classList.remove("pointed");
  void li.offsetWidth;
  li.classList.add("pointed");
}

export function toBottom(behavior = "smooth") {
  const far = box.scrollHeight - box.scrollTop > box.clientHeight * 3;
  box.scrollTo({ top: box.scrollHeight, behavior: far ? "instant" : behavior });
}

async function loadOlder() {
  if (loading || whole || !chat || !messages.length) return;
  loading = true;
  const { id } = chat;
  try {
    const older = await api.messages(id, messages[0].id);
    if (chat?.id !== id) return;
    whole = older.length < 100;
    messages = [...older, ...messages];
    const fromEnd = box.scrollHeight - box.scrollTop;
    draw();
    box.scrollTop = box.scrollHeight - fromEnd;
  } finally {
    loading = false;
  }
}

function drawDown() {
  if (following) missed = 0;
  down.hidden = following;
  badge.hidden = missed === 0;
  badge.textContent = missed;
  if (following && !document.hidden) onSeen();
}

box.addEventListener("scroll", () => {
  if (atBottom()) following = true;
  else if (box.scrollTop < lastTop - 2) following = false;
  lastTop = box.scrollTop;
  drawDown();
  if (box.scrollTop < 300) loadOlder();
}, { passive: true });
down.addEventListener("click", () => toBottom());
document.addEventListener("visibilitychange", drawDown);

// What grows later (the keyboard of a phone, the composer) must not hide the
// end.
new ResizeObserver(() => following && toBottom("instant")).observe(box);
