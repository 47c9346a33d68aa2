"use strict";
// The page's data, links between its views, and tables that sort.

const D = JSON.parse(document.getElementById("data").textContent);
const T = D.trials.study.map((_, i) =>
  Object.fromEntries(Object.keys(D.trials).map((k) => [k, D.trials[k][i]])),
);
const numberOf = (list, name) => list.findIndex((item) => item.name === name);
// A long name or path may be broken behind its underscores and slashes, and is copied as it is.
const breakable = (name) =>
  String(name)
    .split(/(?<=[_/])/)
    .flatMap((part, i) => (i ? [h("wbr"), part] : [part]));
const link = (text, ...to) => h("a", { href: address(...to) }, breakable(text));
const amountOf = (value) => amount(value, D.clock);
const axisOf = (w) => {
  const hours = D.clock === "seconds" && w.budget > 7200;
  const label = D.clock === "steps" ? "steps" : hours ? "timed hours" : "timed minutes";
  return { unit: D.clock === "steps" ? 1 : hours ? 3600 : 60, label };
};

// A table that sorts by a press on a heading.  `columns` have a title, the key to sort by, a
// cell(row) where text is not enough, and flags: number, down (largest first), order (as given).
function sortable(rows, columns, caption) {
  const body = h("tbody", {}),
    heads = columns.map((column) => {
      if (!column.key) return h("th", { class: classes(column) }, column.title);
      const press = () => {
        const up = head.getAttribute("aria-sort")
          ? head.getAttribute("aria-sort") === "descending"
          : !column.down;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        fill(sorted(rows, column.key, up ? 1 : -1));
      };
      const head = h(
        "th",
        { class: classes(column), scope: "col", "aria-sort": column.order },
        h(
          "button",
          { type: "button", click: press },
          column.title.length > 26 ? breakable(column.title) : column.title,
        ),
      );
      return head;
    });
  const fill = (list) =>
    body.replaceChildren(
      ...list.map((row) =>
        h(
          "tr",
          {},
          columns.map((column) => {
            const made = column.cell ? column.cell(row) : String(row[column.key] ?? "–");
            return made instanceof HTMLTableCellElement
              ? made
              : h("td", { class: classes(column) }, made);
          }),
        ),
      ),
    );
  fill(rows);
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      {},
      caption ? h("caption", {}, caption) : null,
      h("thead", {}, h("tr", {}, heads)),
      body,
    ),
  );
}

function classes(column) {
  return (
    [column.number ? "number" : "", column.stick ? "stick" : "", column.wide ? "wide" : ""]
      .join(" ")
      .trim() || null
  );
}
