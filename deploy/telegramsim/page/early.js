// Runs before anything is painted, so that a dark page never flashes white:
// the theme is what the address asks for (?theme=dark), what was chosen before,
// or the system's.
(() => {
  const known = ["auto", "light", "dark"];
  const asked = new URLSearchParams(location.search).get("theme") ?? localStorage.getItem("theme");
  const choice = known.includes(asked) ? asked : "auto";
  const dark = choice === "dark" || choice === "auto" && matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.choice = choice;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
