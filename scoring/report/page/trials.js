"use strict";
// Two steps in: the trials of a submission on a workload, one trial's curve, the findings.

function trialSeries(t) {
  const look = D.looks[t.s];
  return { name: t.study + ", trial " + t.n, look, points: t.x.map((x, i) => [x, t.y[i]]) };
}

function trialTable(found, where) {
  const columns = [
    { title: "Study", key: "study" },
    {
      title: "Trial",
      key: "n",
      number: true,
      cell: (t) =>
        link(
          String(t.n),
          "trial",
          D.submissions[t.s].name,
          D.workloads[t.w].name,
          t.study,
          t.n,
          t.f,
        ),
    },
    {
      title: D.clock === "steps" ? "Steps to target" : "Time to target",
      key: "t",
      number: true,
      cell: (t) =>
        t.t === null
          ? h("td", { class: "number miss" }, "not reached")
          : h("td", { class: "number" + (where[t.study] === t.n ? " best" : "") }, amountOf(t.t)),
    },
    { title: "Best value", key: "best", number: true, cell: (t) => significant(t.best) },
    { title: "Evaluations", key: "rows", number: true },
    { title: "Status", key: "status", cell: (t) => t.status || "–" },
  ];
  return sortable(found, columns, "Bold: the trial that counts for its study.");
}

function cell(name, on) {
  const s = numberOf(D.submissions, name),
    k = numberOf(D.workloads, on);
  if (s < 0 || k < 0) return nothing("cell", name + " / " + on);
  const it = D.cells[s][k],
    w = D.workloads[k],
    found = T.filter((t) => t.s === s && t.w === k);
  const counts = Object.fromEntries(it.studies.map((x) => [x[0], x[2]]));
  const facts = [
    [D.clock === "steps" ? "steps to target" : "time to target", amountOf(it.t)],
    [
      "of each study",
      it.studies.map((x) => (x[1] === null ? "not reached" : amountOf(x[1]))).join(", ") ||
        "no logs",
    ],
  ];
  if (it.why) facts.push(["does not count", it.why]);
  const best = found.filter((t) => counts[t.study] === t.n).map((t) => trialSeries(t));
  best.forEach((b, i) => {
    b.look = D.palette[i % D.palette.length];
  });
  return [
    h("h1", {}, link(name, "submission", name), " on ", link(on, "workload", on)),
    definitions(facts),
    workloadFacts(w),
    best.length ? curveChart(w, best, "The trial that counts for each study.") : null,
    h("h2", {}, "Trials"),
    found.length ? trialTable(found, counts) : h("p", {}, "No trial has evaluations."),
  ];
}

function trial(name, on, study, number, framework) {
  const s = numberOf(D.submissions, name),
    k = numberOf(D.workloads, on);
  const t = T.find(
    (x) =>
      x.s === s &&
      x.w === k &&
      x.study === study &&
      String(x.n) === number &&
      (framework === undefined || x.f === framework),
  );
  if (!t) return nothing("trial", [name, on, study, number].join(" / "));
  const w = D.workloads[k],
    point = D.points[t.hp] || {};
  const facts = [
    [
      D.clock === "steps" ? "steps to target" : "time to target",
      t.t === null ? "not reached" : amountOf(t.t),
    ],
    ["best value", significant(t.best)],
    ["evaluations", t.rows + (t.rows > t.x.length ? " (" + t.x.length + " drawn)" : "")],
  ];
  if (t.f) facts.push(["framework", t.f]);
  if (t.status) facts.push(["status", t.status]);
  const values = Object.entries(point).map((pair) => [
    pair[0],
    typeof pair[1] === "number" ? significant(pair[1]) : JSON.stringify(pair[1]),
  ]);
  return [
    h("h1", {}, study + ", trial " + number),
    h(
      "p",
      {},
      link(name, "submission", name),
      " on ",
      link(on, "workload", on),
      " (",
      link("all its trials", "cell", name, on),
      ")",
    ),
    definitions(facts),
    workloadFacts(w),
    t.x.length ? curveChart(w, [trialSeries(t)], null) : h("p", {}, "No evaluations."),
    h("h2", {}, "Hyperparameters"),
    values.length ? definitions(values) : h("p", {}, "None were logged."),
  ];
}

function findings() {
  const rows = D.findings.map((f) => ({ kind: f[0], where: f[1], text: f[2] }));
  const kinds = [...new Set(rows.map((row) => row.kind))];
  const counts = kinds.map((kind) => rows.filter((row) => row.kind === kind).length + " " + kind);
  return [
    h("h1", {}, "Findings about the logs"),
    h("p", { class: "note" }, counts.join(", ")),
    sortable(rows, [
      { title: "Kind", key: "kind" },
      { title: "Finding", key: "text", cell: (row) => h("td", { class: "long" }, breakable(row.text)) },
      { title: "Where", key: "where", cell: (row) => h("td", { class: "long" }, breakable(row.where)) },
    ]),
  ];
}
