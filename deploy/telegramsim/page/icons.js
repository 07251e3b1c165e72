// The icons, drawn on a grid of 24 by 24.

const paths = {
  back: "M20 12H5M11 5l-7 7 7 7",
  down: "M5 9l7 7 7-7",
  sun: "M12 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM12 1.5v2M12 20.5v2M4.6 4.6l1.4 1.4M18 18l1.4 1.4M1.5 12h2M20.5 12h2M4.6 19.4 6 18M18 6l1.4-1.4",
  moon: "M21 13.2A9 9 0 1 1 10.8 3a7 7 0 0 0 10.2 10.2z",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  close: "M6 6l12 12M18 6L6 18",
  slash: "M5 3.5h14a2 2 0 0 1 2 2v13a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-13a2 2 0 0 1 2-2zM14.5 7.5l-5 9",
  send: "M3.4 20.4 21.5 12.7a.75.75 0 0 0 0-1.4L3.4 3.6c-.6-.26-1.2.26-1 .9L4.5 10.6 14 12l-9.5 1.4-2.1 6.1c-.2.64.4 1.16 1 .9z",
  copy: "M9 9h10v11H9zM5 15V4h10",
  open: "M8 4h12v12M20 4L5 19",
  muted: "M6.5 6.5A6 6 0 0 0 6 9c0 5-2 7-2 8h12.5M18 14c0-2 0-3 0-5a6 6 0 0 0-8.5-5.5M10 20a2 2 0 0 0 4 0M3 3l18 18",
  ticks: "M1 13l4.5 4.5L15 7M10.5 16.5l1 1L22 7",
  file: "M12 3v13M6 11l6 6 6-6M5 21h14",
  reply: "M9 6 3 12l6 6M3 12h10c5 0 8 3 8 7",
  pulse: "M2.5 12.5H7l2.5-7 4.5 14 3-9.5 1.5 2.5h3",
};

export function icon(name, className = "") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  if (className) svg.setAttribute("class", className);
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", paths[name]);
  svg.append(path);
  return svg;
}

// tail is the corner of a bubble that points at who speaks.
export function tail() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 9 18");
  svg.setAttribute("class", "tail");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", "M9 0v18H.8c-.8 0-1-.9-.3-1.3C5.5 14 8 9 8 0z");
  svg.append(path);
  return svg;
}

// avatar fills an element for a chat or a person: the bot's mark, or initials
// on a colour of their own.
export function avatar(el, { id, name, bot }) {
  el.classList.forEach((c) => c.startsWith("hue-") && el.classList.remove(c));
  el.classList.add("avatar", `hue-${bot ? 5 : hue(id)}`);
  el.replaceChildren(bot ? icon("pulse") : initials(name));
  return el;
}

export const hue = (id) => Math.abs(id) % 7;

function initials(name) {
  const words = name.replace(/[^\p{L}\p{N}\s]/gu, " ").trim().split(/\s+/);
  return words.slice(0, 2).map((w) => [...w][0] ?? "").join("").toUpperCase() || "#";
}
