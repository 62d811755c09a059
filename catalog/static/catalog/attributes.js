// Another type has other attributes: the page is asked for them as soon as it is chosen, and saves nothing.
// Without this script the fields of the new type come with the first answer that refuses something.
(() => {
  const $ = window.django?.jQuery ?? window.jQuery;
  $?.(() => {
    const chosen = document.getElementById("id_product_type"), form = chosen?.form;
    if (!form) return;
    const shown = chosen.value;
    $(chosen).on("change", () => {
      // The field says so once by itself, while the page is set up.
      if (chosen.value === shown) return;
      const look = Object.assign(document.createElement("input"), { type: "hidden", name: "attributes_look", value: "1" });
      form.append(look);
      form.classList.remove("warn-unsaved-form");
      form.requestSubmit();
    });
  });
})();
