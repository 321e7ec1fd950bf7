"use strict";
(() => {
  // Tooltips: titles appear at once, near the pointer, and on touch. Without this script the browser's own remain.
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);
  let held = null;
  const release = () => {
    if (held) held.restore();
    held = null;
    tip.hidden = true;
  };
  const grasp = (target) => {
    const element = target.closest("[title], svg *, svg");
    if (!element) return null;
    if (element.title && element.getAttribute("title")) {
      const text = element.getAttribute("title");
      element.removeAttribute("title");
      return { element, text, restore: () => element.setAttribute("title", text) };
    }
    for (let node = element; node && node.nodeName !== "BODY"; node = node.parentElement) {
      const title = node.querySelector(":scope > title");
      if (title) {
        const text = title.textContent;
        title.textContent = "";
        return { element: node, text, restore: () => { title.textContent = text; } };
      }
    }
    return null;
  };
  const move = (event) => {
    const box = tip.getBoundingClientRect();
    const x = Math.min(event.clientX + 14, innerWidth - box.width - 8);
    const y = event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 18;
    tip.style.left = `${Math.max(8, x)}px`;
    tip.style.top = `${y}px`;
  };
  document.addEventListener("pointerover", (event) => {
    if (held && held.element.contains(event.target)) return;
    release();
    held = grasp(event.target);
    if (!held) return;
    tip.textContent = held.text;
    tip.hidden = false;
    move(event);
  });
  document.addEventListener("pointermove", (event) => { if (held) move(event); });
  document.addEventListener("pointerleave", release);
  addEventListener("scroll", release, { passive: true });

  // Sorting: a heading's button sorts by data-v, or by the number that the text begins with; missing values stay last.
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent.trim();
    const value = parseFloat(text.replaceAll("−", "-").replace("<", ""));
    return { text, value };
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.classList.contains("nosort")) return;
      const button = document.createElement("button");
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows].map((row) => ({ row, ...key(row, column) }));
        const numeric = head.classList.contains("num");
        rows.sort((a, b) => {
          if (!numeric) return (down ? -1 : 1) * a.text.localeCompare(b.text);
          if (Number.isNaN(a.value) || Number.isNaN(b.value)) return Number.isNaN(a.value) - Number.isNaN(b.value);
          return (down ? -1 : 1) * (a.value - b.value);
        });
        body.append(...rows.map((entry) => entry.row));
      });
    });
  }

  // On paper nothing stays folded.
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details:not([open])")) details.open = true;
  });
})();
