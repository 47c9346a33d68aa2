"use strict";
// Which view the address asks for; addresses can be sent to others, and Back works.

const VIEWS = { submission, workload, cell, trial, findings };

function show() {
  const asked = parts(location.hash),
    main = document.getElementById("main");
  const view =
    asked === null
      ? null
      : asked.length
        ? VIEWS[Object.keys(VIEWS).find((name) => name === asked[0])]
        : leaderboard;
  const nodes = view ? view(...asked.slice(1)) : nothing("page", location.hash);
  main.replaceChildren(...nodes.flat().filter((node) => node !== null));
  redraw();
  const heading = main.querySelector("h1");
  document.title = asked && asked.length ? heading.textContent + " · " + D.title : D.title;
  document.getElementById("crumbs").textContent = asked && asked.length ? asked[0] : "";
}

function redraw() {
  document.querySelectorAll("figure").forEach((figure) => figure.redraw && figure.redraw());
}

window.addEventListener("hashchange", () => {
  show();
  window.scrollTo(0, 0);
  document.getElementById("main").focus();
});
let waiting = 0,
  seen = window.innerWidth;
window.addEventListener("resize", () => {
  if (seen === window.innerWidth) return;
  seen = window.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(redraw, 100);
});
document.getElementById("foot").textContent = D.foot;
show();
