for (const button of document.querySelectorAll("thead button")) {
  button.onclick = () => {
    const head = button.closest("th"), body = button.closest("table").tBodies[0];
    const column = head.cellIndex, rows = [...body.rows];
    const was = head.getAttribute("aria-sort");
    const first = head.dataset.first || "ascending";
    const order = was === null ? first : was === "ascending" ? "descending" : "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const value = (row) => row.cells[column].dataset.value;
    rows.sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * (isNaN(x) ? x.localeCompare(y) : x - y);
    });
    body.append(...rows);
  };
}
for (const button of document.querySelectorAll(".legend button")) {
  button.onclick = () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", shown);
    for (const part of document.querySelectorAll("figure [data-row]"))
      if (part.dataset.row === button.dataset.row) part.classList.toggle("hidden", !shown);
  };
}
const controls = document.querySelector(".controls");
const strips = [...document.querySelectorAll(".strip")];
function sortStrips() {
  const { metric, method, order } = controls.elements;
  const lower = metric.selectedOptions[0].dataset.lower ? -1 : 1;
  const scores = new Map(strips.map((strip) =>
    [strip, (JSON.parse(strip.dataset.scores)[method.value] || {})[metric.value]]));
  const sorted = [...strips];
  if (metric.value) sorted.sort((a, b) => {
    const x = scores.get(a), y = scores.get(b);
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    return lower * order.value * (y - x);
  });
  document.getElementById("strips").append(...sorted);
}
function pixelsOf(address) {
  return new Promise((done) => {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [image.width, image.height];
      const pen = canvas.getContext("2d");
      pen.drawImage(image, 0, 0);
      done(pen.getImageData(0, 0, image.width, image.height));
    };
    image.src = address;
  });
}
let turn = 0;
async function showDifferences() {
  const { one, other } = controls.elements, mine = ++turn;
  for (const old of document.querySelectorAll(".difference")) old.remove();
  if (!one.value) return;
  for (const strip of strips) {
    const figures = [...strip.querySelectorAll("[data-map]")];
    const [a, b] = [one.value, other.value].map((name) =>
      figures.find((figure) => figure.dataset.name === name));
    if (!a || !b) continue;
    const [x, y] = await Promise.all([pixelsOf(a.dataset.map), pixelsOf(b.dataset.map)]);
    if (mine !== turn) return;  // other methods have been chosen meanwhile
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [x.width, x.height];
    for (let at = 0; at < x.data.length; at += 4) {
      const change = (x.data[at] - y.data[at]) / 255, rest = 255 * (1 - Math.abs(change));
      x.data[at] = change > 0 ? 255 - 77 * change : rest;
      x.data[at + 1] = rest;
      x.data[at + 2] = change < 0 ? 255 + 77 * change : rest;
    }
    canvas.getContext("2d").putImageData(x, 0, 0);
    const figure = document.createElement("figure"), words = document.createElement("figcaption");
    const button = document.createElement("button"), image = new Image();
    figure.className = "difference";
    image.src = canvas.toDataURL();
    words.textContent = `${one.value} less ${other.value}: red where the first is higher`;
    image.alt = words.textContent;
    button.append(image);
    figure.append(button, words);
    strip.querySelector(".given").after(figure);
  }
}
if (controls) {
  for (const name of ["metric", "method", "order"]) controls.elements[name].onchange = sortStrips;
  for (const name of ["one", "other"]) controls.elements[name].onchange = showDifferences;
  const dialog = document.querySelector("dialog");
  document.getElementById("strips").onclick = (event) => {
    const button = event.target.closest(".row button");
    if (!button) return;
    const figure = button.closest("figure");
    dialog.querySelector("img").src = button.querySelector("img").src;
    dialog.querySelector("p").textContent =
      [figure.dataset.name || figure.querySelector("figcaption").textContent, figure.title]
        .filter(Boolean).join("\n");
    dialog.showModal();
  };
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
}
