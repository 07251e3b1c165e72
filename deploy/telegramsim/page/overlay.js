// What lies over the chats: notes, dialogs; and the theme.

import { icon } from "./icons.js";

const toastBox = document.getElementById("toast");
let hiding;

export function toast(text) {
  toastBox.textContent = text;
  toastBox.hidden = true; // restart the animation
  void toastBox.offsetWidth;
  toastBox.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (toastBox.hidden = true), 1800 + text.length * 30);
}

export function alertBox(title, text) {
  const box = document.getElementById("alert");
  box.querySelector("h3").textContent = title;
  box.querySelector("p").textContent = text;
  if (!box.open) box.showModal();
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied to clipboard");
  } catch {
    toast("The browser doesn't let this page copy");
  }
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const choices = ["auto", "light", "dark"];
const looks = { auto: "auto", light: "sun", dark: "moon" };
const button = document.getElementById("theme");
let { choice } = document.documentElement.dataset; // by early.js

function applyTheme() {
  const theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
  document.documentElement.dataset.theme = theme;
  document.querySelector("meta[name=theme-color]").content = theme === "dark" ? "#17212b" : "#ffffff";
  button.replaceChildren(icon(looks[choice]));
  button.title = button.ariaLabel = `Theme: ${choice === "auto" ? "as the system" : choice}`;
}

button.addEventListener("click", () => {
  choice = choices[(choices.indexOf(choice) + 1) % choices.length];
  localStorage.setItem("theme", choice);
  applyTheme();
});
dark.addEventListener("change", applyTheme);
applyTheme();
