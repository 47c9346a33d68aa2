"use strict";
// Asks for the page again, every few seconds, and puts its new content in place of the old one.
// The server has escaped all names; no script but this one runs.

const every = 1000 * Number(document.body.dataset.refresh);
let before = document.querySelector("main").innerHTML;

// Whoever selects text, or cannot see the page, is not disturbed.
function busy() {
  const selection = document.getSelection();
  return document.hidden || (selection !== null && !selection.isCollapsed);
}

async function refresh() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const text = await answer.text();
    const page = new DOMParser().parseFromString(text, "text/html");
    const main = page.querySelector("main");
    if (main !== null && main.innerHTML !== before && !busy()) {
      const focused = document.activeElement && document.activeElement.getAttribute("href");
      before = main.innerHTML;
      document.querySelector("main").replaceWith(document.adoptNode(main));
      document.title = page.title;
      for (const link of document.querySelectorAll("main a"))
        if (focused !== null && link.getAttribute("href") === focused) link.focus({ preventScroll: true });
    }
    document.body.classList.remove("lost");
  } catch (error) {
    document.body.classList.add("lost");
  }
  setTimeout(refresh, every);
}

setTimeout(refresh, every);
