"use strict";
// One step in: a submission on all workloads, a workload with all submissions.

const CURVES_NOTE =
  "Median over the studies of each study's best trial, and the range from the best to the worst " +
  "study. A trial that has ended keeps its last value.";

// The columns of one cell of the board: what it is of, its time, and that over the fastest.
// cell(row) gives its submission and workload.
function cellColumns(title, view, cell) {
  return [
    {
      title,
      key: "name",
      stick: true,
      cell: (r) => h("td", { class: "stick", title: r.name }, link(r.name, view, r.name)),
    },
    {
      title: D.clock === "steps" ? "Steps to target" : "Time to target",
      key: "t",
      number: true,
      cell: (r) =>
        h(
          "td",
          { class: "number" + (r.why ? " miss" : "") + (r.best ? " best" : "") },
          h("a", { href: address("cell", ...cell(r)) }, amountOf(r.t)),
        ),
    },
    {
      title: "Of the fastest",
      key: "r",
      number: true,
      cell: (r) => (r.r === null ? "–" : digits(r.r, 2) + "×"),
    },
  ];
}

const reason = (text) => h("td", { class: "long" }, breakable(text));

function perWorkload(s) {
  const rows = D.workloads.map((w, i) => ({
    name: w.name,
    t: D.cells[s][i].t,
    r: D.cells[s][i].r,
    v: D.cells[s][i].v,
    share: D.cells[s][i].t === null ? null : D.cells[s][i].t / w.budget,
    why: D.cells[s][i].why,
    best: D.cells[s][i].best,
    held: w.held_out,
  }));
  const columns = [
    ...cellColumns("Workload", "workload", (r) => [D.submissions[s].name, r.name]),
    {
      title: "Does not count because",
      key: "why",
      cell: (r) => reason(r.why || (r.held ? "held out: it decides whether its base counts" : "")),
    },
  ];
  if (D.clock !== "steps")
    columns.splice(2, 0, {
      title: "Of the budget",
      key: "share",
      number: true,
      cell: (r) => percent(r.share),
    });
  if (D.baseline && D.submissions[s].name !== D.baseline)
    columns.splice(-1, 0, {
      title: "Of " + D.baseline + "’s",
      key: "v",
      number: true,
      cell: (r) => (r.v === null ? "–" : digits(r.v, 2) + "×"),
    });
  return sortable(rows, columns);
}

function submission(name) {
  const s = numberOf(D.submissions, name);
  if (s < 0) return nothing("submission", name);
  const it = D.submissions[s],
    facts = [
      ["score", digits(it.score, 4)],
      ["rank", it.rank + " of " + D.submissions.length],
      ["workloads that count", it.reached + " of " + D.n_base],
    ];
  if (it.low !== null)
    facts.splice(1, 0, [D.level, digits(it.low, 4) + " to " + digits(it.high, 4)]);
  if (D.baseline && name !== D.baseline)
    facts.push(["less time than " + D.baseline, lessTime(it)]);
  facts.push(["trials with evaluations", T.filter((t) => t.s === s).length]);
  return [
    h("h1", {}, breakable(name)),
    definitions(facts),
    h("h2", {}, "Workloads"),
    perWorkload(s),
    h("h2", {}, "Performance profile"),
    profiles(name),
  ];
}

function definitions(pairs) {
  return h(
    "dl",
    {},
    pairs.map((pair) => [h("dt", {}, pair[0]), h("dd", {}, String(pair[1]))]),
  );
}

function nothing(kind, name) {
  return [
    h("h1", {}, "Not here"),
    h("p", {}, "This page has no " + kind + " “" + name + "”. "),
    h("p", {}, link("Back to the leaderboard")),
  ];
}

function workloadFacts(w) {
  const facts = [
    ["target", w.metric + (w.goal === "min" ? " ≤ " : " ≥ ") + significant(w.target)],
    ["budget", time(w.budget)],
  ];
  if (w.held_out) facts.push(["held out", "variant of " + w.base]);
  return definitions(facts);
}

// `series` come in seconds or steps and are drawn in the unit of the axis.
function curveChart(w, series, caption) {
  const axis = axisOf(w),
    scaled = series.map((s) =>
      Object.assign({}, s, { points: s.points.map((p) => [p[0] / axis.unit, p[1]]) }),
    );
  const ends = scaled.flatMap((s) => s.points.map((p) => p[0])),
    seconds = D.clock === "seconds";
  const last = ends.reduce((a, b) => Math.max(a, b), 0) * 1.02 || 1;
  const budget = seconds && w.budget / axis.unit <= last * 1.3 ? w.budget / axis.unit : null;
  const span = Math.max(last, budget ? budget * 1.02 : 0);
  return chartFigure({
    series: scaled,
    x: [0, span],
    y: window_(
      scaled.map((s) => s.points.filter((p) => p[1] !== null)),
      w.target,
      last,
    ),
    target: w.target,
    budget,
    xLabel: axis.label,
    yLabel: w.metric,
    label: w.metric + " on " + w.name,
    caption,
  });
}

function workload(name) {
  const k = numberOf(D.workloads, name);
  if (k < 0) return nothing("workload", name);
  const w = D.workloads[k],
    series = [];
  D.submissions.forEach((s, i) => {
    const c = D.curves[k][i];
    if (c)
      series.push({
        name: s.name,
        look: D.looks[i],
        points: c.x.map((x, j) => [x, c.m[j]]),
        low: c.low,
        high: c.high,
      });
  });
  const rows = D.submissions.map((s, i) => Object.assign({ name: s.name, i }, D.cells[i][k]));
  const columns = [
    ...cellColumns("Submission", "submission", (r) => [r.name, name]),
    { title: "Does not count because", key: "why", cell: (r) => reason(r.why) },
  ];
  return [
    h("h1", {}, breakable(name)),
    workloadFacts(w),
    series.length ? curveChart(w, series, CURVES_NOTE) : h("p", {}, "No evaluations."),
    h("h2", {}, "Submissions"),
    sortable(sorted(rows, "t", 1), columns),
  ];
}
