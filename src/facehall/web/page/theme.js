// Light and dark colours: those of the system, until the button is used.

const button = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
let chosen = null;

function show() {
  const other = (chosen ?? (dark.matches ? "dark" : "light")) === "dark" ? "Light" : "Dark";
  button.textContent = other;
  button.title = `${other} colours`;
  return other.toLowerCase();
}

dark.addEventListener("change", show);
button.addEventListener("click", () => {
  chosen = document.documentElement.dataset.theme = show();
  show();
});
show();
