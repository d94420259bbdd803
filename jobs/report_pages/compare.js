"use strict";
const numbers = JSON.parse(document.getElementById("numbers").textContent);
const NOTHING = "–";
const THIN = "\u202f";
// Not toLocaleString: it rounds decimals, toFixed rounds what the number is, as Python does.
const grouped = (value, places) => {
  const [whole, ...rest] = value.toFixed(places).split(".");
  return [whole.replace(/\d(?=(\d{3})+$)/g, `$&${THIN}`), ...rest].join(".");
};
const signed = (shown) => shown.replace("-", /[1-9]/.test(shown) ? "−" : "");

// The same forms as in figures.py: a number looks alike before and after a choice.
function written(value, unit) {
  if (value === null) return NOTHING;
  if (unit === "share") return signed(`${grouped(value * 100, 1)}${THIN}%`);
  const places = { count: 0, score: 4, bits: 4, money: 2 };
  return signed(grouped(value, places[unit] ?? 1));
}
function cell(value, unit) {
  if (value === null) return NOTHING;
  if (unit === "text") return String(value);
  if (!Array.isArray(value)) return written(value, unit);
  const [middle, low, high, n] = value;
  const ends = low === null ? "" : ` (${written(low, unit)} to ${written(high, unit)})`;
  return written(middle, unit) + ends + (n === null ? "" : `, n\u00a0${written(n, "count")}`);
}
function change(before, now, unit) {
  if (unit === "text") return before === now ? "" : "differs";
  if (before === null || now === null) return before === now ? "" : NOTHING;
  const [first, second] = [before, now].map((value) => (Array.isArray(value) ? value[0] : value));
  const difference = second - first;
  const shown = written(difference, unit).replace("%", "points");
  return difference > 0 && /[1-9]/.test(shown) ? `+${shown}` : shown;
}
for (const form of document.querySelectorAll("form.compare")) {
  const { fields, values } = numbers[form.dataset.name];
  const table = document.getElementById(`compare-${form.dataset.name}`);
  const [first, second] = form.querySelectorAll("select");
  for (const select of [first, second]) {
    for (const name of Object.keys(values)) select.add(new Option(name, name, false, name === select.dataset.chosen));
  }
  const show = () => {
    const [before, now] = [values[first.value], values[second.value]];
    const heads = table.tHead.rows[0].cells;
    heads[1].textContent = first.value;
    heads[2].textContent = second.value;
    fields.forEach(([unit], place) => {
      const cells = table.tBodies[0].rows[place].cells;
      cells[1].textContent = cell(before[place], unit);
      cells[2].textContent = cell(now[place], unit);
      cells[3].textContent = change(before[place], now[place], unit);
    });
  };
  form.addEventListener("input", show);
  form.querySelector("button").addEventListener("click", () => {
    [first.value, second.value] = [second.value, first.value];
    show();
  });
  form.hidden = false;
  show();
}
