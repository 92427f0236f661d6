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
