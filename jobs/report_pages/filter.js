"use strict";
// Rows have data-<select's name>; what is chosen stands in the address, so that a view can be passed on.
for (const form of document.querySelectorAll("form.filter")) {
  const rows = [...document.getElementById(form.dataset.table).tBodies[0].rows];
  const selects = [...form.querySelectorAll("select")];
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const select of selects) {
    if ([...select.options].some((option) => option.value === asked.get(select.name))) {
      select.value = asked.get(select.name);
    }
  }
  const isShown = (row) => selects.every(({ name, value }) =>
    !value || (value === "any" ? name in row.dataset : row.dataset[name] === value));
  const apply = () => {
    for (const row of rows) row.hidden = !isShown(row);
    form.querySelector("output").value = `${rows.filter((row) => !row.hidden).length} of ${rows.length} days`;
    const chosen = selects.filter(({ value }) => value).map(({ name, value }) => [name, value]);
    if (chosen.length || asked.size) {
      history.replaceState(null, "", `#${new URLSearchParams(chosen)}`);
    }
  };
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.hidden = false;
  apply();
}
