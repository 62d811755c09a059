// Calls to paste: a button that copies each, and the reader's own credentials in them, which never leave the page.
for (const code of document.querySelectorAll("code.run")) {
  code.dataset.written = code.textContent;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  code.parentElement.append(button);
}
function fill() {
  for (const code of document.querySelectorAll("code.run")) {
    let text = code.dataset.written;
    for (const input of document.querySelectorAll("[data-fills]")) {
      // Within single quotes of a shell a quote is written '\''.
      if (input.value) text = text.replaceAll(input.dataset.fills, () => input.value.replaceAll("'", "'\\''"));
    }
    code.textContent = text;
  }
}
for (const input of document.querySelectorAll("[data-fills]")) input.addEventListener("input", fill);
