
"use strict";
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    const said = document.getElementById("said");
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = button.dataset.done;
    } catch {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(button.dataset.copy));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      said.textContent = "Selected. Press Ctrl+C or Cmd+C to copy.";
    }
    const before = button.textContent;
    button.textContent = said.textContent.startsWith("Selected") ? "Selected" : "Copied";
    setTimeout(() => { button.textContent = before; }, 2000);
  });
}
