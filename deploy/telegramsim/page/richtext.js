// From a message's HTML, which the server has escaped, to what is shown: code
// that is copied by a tap, blocks with a button, spoilers, links.

import { icon } from "./icons.js";
import { copy } from "./overlay.js";

export function richText(html, onCommand) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const content = template.content;
  linkify(content, onCommand);
  content.querySelectorAll("pre").forEach(block);
  content.querySelectorAll("code").forEach((code) => code.closest("pre") || tappable(code, "Copy", () => copy(code.textContent)));
  content.querySelectorAll("a[href]").forEach((a) => { a.target = "_blank"; a.rel = "noopener noreferrer"; });
  content.querySelectorAll("tg-spoiler").forEach((s) => tappable(s, "Show", () => s.classList.add("seen")));
  content.querySelectorAll("blockquote[expandable]").forEach((q) => {
    q.classList.add("folded");
    tappable(q, "Unfold", () => q.classList.toggle("folded"));
  });
  content.querySelectorAll(".block, blockquote").forEach(dropNewlinesAround);
  return content;
}

function tappable(el, title, act) {
  el.tabIndex = 0;
  el.role = "button";
  el.title = title;
  el.addEventListener("click", act);
  el.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); act(); } });
}

function block(pre) {
  const box = document.createElement("span");
  box.className = "block";
  pre.replaceWith(box);
  const language = pre.querySelector("code")?.className.replace("language-", "");
  if (language) {
    const head = document.createElement("span");
    head.className = "lang";
    head.textContent = language;
    box.append(head);
  }
  const button = document.createElement("button");
  button.type = "button";
  button.ariaLabel = "Copy";
  button.append(icon("copy"));
  box.append(pre, button);
  box.addEventListener("click", () => getSelection().isCollapsed && copy(pre.textContent));
}

// A block breaks the line by itself; the line breaks in the text would make
// that two.
function dropNewlinesAround(el) {
  const before = el.previousSibling, after = el.nextSibling;
  if (before?.nodeType === Node.TEXT_NODE) before.data = before.data.replace(/\n$/, "");
  if (after?.nodeType === Node.TEXT_NODE) after.data = after.data.replace(/^\n/, "");
}

// What Telegram makes links of by itself: addresses, /commands, @names.
const found = /(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)])|(?<![\w/<>@])(\/[A-Za-z0-9_]{1,64}(?:@\w{3,32})?)\b|(?<![\w/])(@[A-Za-z]\w{3,31})\b/g;

function linkify(content, onCommand) {
  const walker = document.createTreeWalker(content, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walker.nextNode()) {
    if (!walker.currentNode.parentElement?.closest("a, code, pre")) nodes.push(walker.currentNode);
  }
  for (const node of nodes) {
    const parts = [];
    let end = 0;
    for (const match of node.data.matchAll(found)) {
      const a = document.createElement("a");
      a.textContent = match[0];
      if (match[1]) a.href = match[1];
      else if (match[2]) tappable(a, "Send", () => onCommand(match[2]));
      parts.push(node.data.slice(end, match.index), a);
      end = match.index + match[0].length;
    }
    if (parts.length) node.replaceWith(...parts, node.data.slice(end));
  }
}
