// The finder without a reload: each field offers what is left after those before it, and the list comes by itself.
// Without this script the page is a plain form that works all the same.
(() => {
  const form = document.getElementById("find"), found = document.getElementById("found");
  const fields = [...form.querySelectorAll("[data-choices]")];
  const asked = {};

  const offer = async (field) => {
    const before = fields.slice(0, fields.indexOf(field));
    const query = new URLSearchParams(before.map((one) => [one.name, one.value]));
    query.set("field", field.dataset.choices);
    if (asked[field.name] === query.toString()) return;
    asked[field.name] = query.toString();
    const answer = await fetch(`${form.dataset.choicesUrl}?${query}`);
    if (!answer.ok || asked[field.name] !== query.toString()) return;
    const { items } = await answer.json();
    field.list.replaceChildren(...items.map((item) => Object.assign(document.createElement("option"), { value: item })));
  };

  let turn = 0;
  const find = async () => {
    const mine = ++turn, url = `${form.action}?${new URLSearchParams(new FormData(form))}`;
    const answer = await fetch(url, { headers: { "X-Part": "found" } });
    if (!answer.ok) return form.submit();
    const text = await answer.text();
    if (mine !== turn) return; // a later question is on its way
    found.innerHTML = text;
    history.replaceState(null, "", url);
  };

  for (const field of fields) {
    field.addEventListener("focus", () => offer(field));
    // What was chosen further right may not be there any more.
    field.addEventListener("change", () => {
      for (const later of fields.slice(fields.indexOf(field) + 1)) later.value = "";
      if (fields.filter((one) => one.value).length > 1) find();
    });
  }
  form.addEventListener("submit", (event) => { event.preventDefault(); find(); });
  // Up and down go through the parts found, Escape back to the car.
  document.addEventListener("keydown", (event) => {
    const links = [...found.querySelectorAll("a")], here = links.indexOf(document.activeElement);
    const isLastField = document.activeElement === form.elements.q;
    if (event.key === "Escape" && here >= 0) fields[0].focus();
    else if (event.key === "ArrowDown" && (here >= 0 || isLastField)) links[here + 1]?.focus();
    else if (event.key === "ArrowUp" && here >= 0) (links[here - 1] ?? form.elements.q).focus();
    else return;
    event.preventDefault();
  });
  // Not earlier: what is hidden takes no cursor.
  window.addEventListener("load", () => { fields[0].focus(); offer(fields[0]); });
})();
