// All free places at once, up to as many as are taken; without this script they are ticked one by one.
(() => {
  const button = document.getElementById("tick-all");
  if (!button) return;
  const boxes = () => [...document.querySelectorAll('input[name="place"]')].slice(0, 150);
  button.hidden = false;
  button.addEventListener("click", () => {
    const are_all = boxes().every((box) => box.checked);
    for (const box of boxes()) box.checked = !are_all;
  });
})();
