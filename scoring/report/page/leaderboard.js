"use strict";
// The first view: ranks, profiles, times to target, rules.

const PROFILES_NOTE =
  "A line shows on which share of the workloads a submission needs at most so many times the " +
  "time of the fastest. The score is the area below it. Press a name to bring its line forward.";
const HEAT_NOTE =
  " until the target is reached (median over the studies). Bold: the fastest that counts. " +
  "Grey: does not count, for the reason that the mark gives.";

// A score and its interval on a line from 0 to 1.
function interval(s) {
  const x = (value) => 3 + 114 * value,
    look = D.looks[numberOf(D.submissions, s.name)];
  const box = h(
    "svg",
    { width: 120, height: 14, role: "img", "aria-label": "score " + digits(s.score, 4) },
    h("line", { class: "grid", x1: 3, x2: 117, y1: 7, y2: 7 }),
  );
  if (s.low !== null)
    box.append(
      h("line", {
        x1: x(s.low),
        x2: x(s.high),
        y1: 7,
        y2: 7,
        stroke: look.colour,
        "stroke-width": 3,
        "stroke-opacity": 0.45,
      }),
    );
  box.append(marker(look.marker, x(s.score), 7, 3.6, look.colour));
  return box;
}

// How much less time than the baseline, with a mark where a workload has no logs.
const lessTime = (s) => percent(s.faster, 1) + (s.unlogged ? "*" : "");

function leaderboard() {
  const sure = D.submissions.some((s) => s.low !== null),
    columns = [
      {
        title: "Submission",
        key: "name",
        stick: true,
        cell: (s) => h("td", { class: "stick", title: s.name }, link(s.name, "submission", s.name)),
      },
      { title: "Rank", key: "rank", number: true, order: "ascending" },
      { title: "Score", key: "score", number: true, down: true, cell: (s) => digits(s.score, 4) },
    ];
  if (sure)
    columns.push({
      title: D.level,
      key: "low",
      number: true,
      down: true,
      cell: (s) => digits(s.low, 3) + "–" + digits(s.high, 3),
    });
  columns.push({ title: "0 to 1", cell: interval, wide: true });
  columns.push({
    title: "Workloads that count",
    key: "reached",
    number: true,
    down: true,
    cell: (s) => s.reached + " of " + D.n_base,
  });
  if (D.baseline)
    columns.push({
      title: "Less time than " + D.baseline,
      key: "faster",
      number: true,
      down: true,
      cell: lessTime,
    });
  return [
    h("h1", {}, "Leaderboard"),
    h("p", { class: "note" }, D.note),
    sortable(D.submissions, columns),
    D.submissions.some((s) => s.unlogged)
      ? h("p", { class: "note" }, "* a workload without logs counts as not reached")
      : null,
    h("h2", {}, "Performance profiles"),
    profiles(),
    h("h2", {}, "Time to target"),
    heat(),
    D.findings.length
      ? h("p", {}, link(D.findings.length + " findings about the logs", "findings"))
      : null,
    D.rules.length ? [h("h2", {}, "Rules"), definitions(D.rules)] : null,
  ];
}

// All profiles; that of `front` before the others.
function profiles(front) {
  const series = D.submissions.map((s, i) => {
    const ratios = D.cells[i].filter((_, w) => !D.workloads[w].held_out).map((c) => c.r);
    return { name: s.name, look: D.looks[i], points: profileSteps(ratios, D.tau), marks: 5 };
  });
  return chartFigure({
    series,
    front,
    x: [1, D.tau],
    y: [0, 1],
    label: "Performance profiles",
    xLabel: "time, as a multiple of the fastest",
    yLabel: "share of workloads",
    caption: PROFILES_NOTE,
  });
}

function heatCell(s, w) {
  const cell = D.cells[s][w],
    workload = D.workloads[w],
    name = D.submissions[s].name;
  const text =
    cell.t === null
      ? cell.mark
      : D.clock === "steps"
        ? amountOf(cell.t)
        : percent(cell.t / workload.budget) + (cell.mark || "");
  const hint =
    name +
    ", " +
    workload.name +
    ": " +
    amountOf(cell.t) +
    (cell.why ? ", does not count: " + cell.why : "");
  const made = h(
    "td",
    { class: "number heat" + (cell.why ? " miss" : "") + (cell.best ? " best" : ""), title: hint },
    h("a", { href: address("cell", name, workload.name), "aria-label": hint }, text),
  );
  if (!cell.why && D.clock !== "steps") made.style.background = shade(cell.t / workload.budget);
  return made;
}

function heat() {
  const rows = D.submissions.map((s, i) =>
    Object.assign(
      { name: s.name, i },
      Object.fromEntries(D.cells[i].map((c, w) => ["w" + w, c.t])),
    ),
  );
  const columns = [
    {
      title: "Submission",
      key: "name",
      stick: true,
      cell: (r) => h("td", { class: "stick", title: r.name }, link(r.name, "submission", r.name)),
    },
  ];
  D.workloads.forEach((w, k) =>
    columns.push({ title: w.name, key: "w" + k, number: true, cell: (r) => heatCell(r.i, k) }),
  );
  const made = sortable(rows, columns);
  made.querySelectorAll("thead th:not(.stick)").forEach((th) => th.classList.add("tall"));
  return [
    h(
      "p",
      { class: "note" },
      (D.clock === "steps" ? "Steps" : "Per cent of the budget") + HEAT_NOTE,
    ),
    made,
    h("p", { class: "note" }, D.marks.map((m) => m.mark + " " + m.text).join("; ") + "."),
    h(
      "p",
      {},
      "Workloads: ",
      D.workloads.map((w, i) => [i ? ", " : "", link(w.name, "workload", w.name)]),
    ),
  ];
}
