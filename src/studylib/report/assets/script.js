(() => {
  "use strict";
  const PRINTED = 40;  // rows of a closed table that is printed all the same
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Theme and code: two buttons that only exist where there is script.
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const themeButton = document.querySelector("[data-tool=theme]");
  const codeButton = document.querySelector("[data-tool=code]");
  const isDark = () => (root.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
  const nameTheme = () => { themeButton.textContent = isDark() ? "Light theme" : "Dark theme"; };
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
  });
  prefersDark.addEventListener("change", nameTheme);
  nameTheme();
  codeButton.addEventListener("click", () => {
    const open = codeButton.getAttribute("aria-pressed") !== "true";
    codeButton.setAttribute("aria-pressed", open);
    for (const fold of all("details.code")) fold.open = open;
  });
  codeButton.hidden = all("details.code").length === 0;
  codeButton.parentElement.hidden = false;

  // Contents: open beside the text, folded above it on a narrow screen.
  const nav = document.querySelector("nav");
  const fold = nav.querySelector("details");
  const wide = matchMedia("(min-width: 66rem)");
  const arrange = () => { fold.open = wide.matches; };
  wide.addEventListener("change", arrange);
  arrange();
  nav.addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) fold.open = false;
  });

  // The band reaches from far above the window to a seventh of its height, so a heading is "in" once it has been read past,
  // however fast the reader scrolled; the last one that is in is the current one.
  const links = new Map(all("a", nav).map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
  const headings = all("h2[id], h3[id]").filter((heading) => links.has(heading.id));
  const passed = new Set();
  const bottom = document.querySelector("footer > :last-child");
  const follow = () => {
    const current = passed.has(bottom) ? headings.at(-1) : headings.findLast((heading) => passed.has(heading));
    for (const [id, link] of links) {
      if (id !== current?.id) link.removeAttribute("aria-current");
      else if (!link.hasAttribute("aria-current")) {
        link.setAttribute("aria-current", "true");
        const [inside, outside] = [link.getBoundingClientRect(), nav.getBoundingClientRect()];
        if (inside.bottom > outside.bottom - 24) nav.scrollTop += inside.bottom - outside.bottom + 96;
        if (inside.top < outside.top + 24) nav.scrollTop += inside.top - outside.top - 96;
      }
    }
  };
  const watch = (elements, margin) => {
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) passed[entry.isIntersecting ? "add" : "delete"](entry.target);
      follow();
    }, { rootMargin: margin });
    for (const element of elements) observer.observe(element);
  };
  watch(headings, "1000000px 0px -85% 0px");
  watch([bottom], "0px");

  // Tables: sort by a click on the header, filter where there are many rows.
  const value = (cell, numeric) => {
    const text = cell.dataset.value ?? cell.textContent.trim().replace("−", "-");
    if (!numeric) return text;
    return text === "" || Number.isNaN(Number(text)) ? null : Number(text);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  const sort = (table, header) => {
    const column = header.cellIndex;
    const numeric = header.classList.contains("num");
    const descending = header.getAttribute("aria-sort") === "ascending";
    for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [value(row.cells[column], numeric), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return descending ? compare(b, a) : compare(a, b);
    });
    body.append(...rows.map(([, row]) => row));
  };
  const addFilter = (table) => {
    const rows = [...table.tBodies[0].rows];
    // The words of a rule are not what a reader filters a verdict by.
    const searched = all("thead th", table).flatMap((header, n) => ("unsearched" in header.dataset ? [] : [n]));
    const tools = document.createElement("div");
    tools.className = "table-tools";
    tools.innerHTML = '<label>Filter<input type="search" autocomplete="off" spellcheck="false"></label><output></output>';
    const [input, count] = [tools.querySelector("input"), tools.querySelector("output")];
    input.placeholder = "words, all of them";
    const apply = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = searched.map((n) => row.cells[n].textContent).join(" ").toLowerCase();
        const match = words.every((word) => text.includes(word));
        row.classList.toggle("filtered-out", !match);
        shown += match;
      }
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
    };
    input.addEventListener("input", apply);
    apply();
    table.parentElement.before(tools);
  };
  const prepare = (table) => {
    for (const header of all("thead th", table)) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      if (!button.textContent.trim()) button.setAttribute("aria-label", "Row");
      button.addEventListener("click", () => sort(table, header));
      header.append(button);
    }
    if (table.tBodies[0].rows.length > 12) addFilter(table);
  };

  // Tables of the appendix are drawn when they are opened: the rows that are not in the page's HTML are in the data beside it.
  const drawRest = (fold) => {
    const rest = fold.querySelector(":scope > script");
    if (!rest) return;
    const [table] = all("table", fold);
    const classes = all("thead th", table).map((header) => header.className);
    const packed = JSON.parse(rest.textContent);
    const [body] = table.tBodies;
    const staying = [...body.rows].slice(body.rows.length - packed.filter((texts) => texts === null).length);
    for (const texts of packed) {
      if (texts === null) {
        staying.shift();
        continue;
      }
      const row = body.insertRow(staying.length ? staying[0].sectionRowIndex : -1);
      for (const [n, packed] of texts.entries()) {
        const cell = row.insertCell();
        [cell.textContent, cell.dataset.value = cell.textContent] = [packed].flat();
        cell.className = classes[n];
      }
    }
    rest.remove();
    fold.querySelector(".first-rows").remove();
  };
  const open = (fold) => {
    drawRest(fold);
    for (const table of all("table[data-sortable]:not([data-ready])", fold)) {
      table.dataset.ready = "";
      prepare(table);
    }
  };
  for (const table of all("table[data-sortable]")) if (!table.closest(".table-fold")) prepare(table);
  for (const fold of all(".table-fold")) fold.addEventListener("toggle", () => { if (fold.open) open(fold); });

  // An address within a fold opens it; of a table it draws all rows first, as they would push the asked one out of sight.
  const arrive = () => {
    const target = document.querySelector(":target");
    const folds = [];
    for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) folds.push(fold);
    if (!folds.length) return;
    for (const fold of folds) {
      fold.open = true;
      if (fold.matches(".table-fold")) open(fold);
    }
    if (target.matches(".filtered-out")) {
      const input = target.closest(".table-fold").querySelector("input");
      input.value = "";
      input.dispatchEvent(new Event("input"));
    }
    if (target.matches("tr")) target.scrollIntoView({ block: "center" });
    else (target.matches("table") ? folds[0] : target).scrollIntoView();
  };
  addEventListener("hashchange", arrive);
  addEventListener("load", arrive);

  // Print shows what made the page, and the tables that take no more than a few pages; of the others their names (style.css).
  let opened = [];
  addEventListener("beforeprint", () => {
    const short = all(".table-fold").filter((fold) => fold.querySelectorAll("tbody tr").length <= PRINTED && !fold.querySelector(":scope > script"));
    opened = [...short, ...all(".provenance")].filter((fold) => !fold.open);
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
  });
})();
