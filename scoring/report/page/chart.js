"use strict";
// Line charts as inline SVG, drawn in the width that there is.
// Names reach the page as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

// An element with attributes and children; strings become text nodes.
function h(tag, attributes, ...children) {
  const drawn = [
    "svg",
    "path",
    "line",
    "rect",
    "text",
    "g",
    "circle",
    "polygon",
    "title",
    "clipPath",
  ].includes(tag);
  const made = drawn ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return made;
}

const SHAPES = ["circle", "4", "3", "diamond", "3 180", "plus", "cross", "3 -90", "star"];

function polygon(x, y, r, corners, turn) {
  const points = [];
  for (let k = 0; k < corners; k += 1) {
    const angle = ((turn - 90 + (360 * k) / corners) * Math.PI) / 180;
    points.push((x + r * Math.cos(angle)).toFixed(1) + "," + (y + r * Math.sin(angle)).toFixed(1));
  }
  return h("polygon", { points: points.join(" ") });
}

// One marker; `kind` counts the nine shapes of the pictures in the same order.
function marker(kind, x, y, r, colour) {
  const shape = SHAPES[kind % SHAPES.length];
  let made;
  if (shape === "circle") made = h("circle", { cx: x, cy: y, r });
  else if (shape === "4") made = polygon(x, y, r * 1.25, 4, 45);
  else if (shape === "diamond") made = polygon(x, y, r * 1.3, 4, 0);
  else if (shape === "star") made = polygon(x, y, r * 1.2, 5, 0);
  else if (shape === "plus" || shape === "cross") {
    const d =
      shape === "plus"
        ? `M${x - r} ${y}H${x + r}M${x} ${y - r}V${y + r}`
        : `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`;
    return h("path", { d, stroke: colour, "stroke-width": 2.4 });
  } else made = polygon(x, y, r * 1.3, 3, Number(shape.split(" ")[1] || 0));
  made.setAttribute("fill", colour);
  made.setAttribute("stroke", "#fff");
  return made;
}

function path(points, x, y) {
  return points
    .map((p, i) => (i ? "L" : "M") + x(p[0]).toFixed(1) + " " + y(p[1]).toFixed(1))
    .join("");
}

function band(series, x, y) {
  if (!series.low) return null;
  const there = series.points
    .map((p, i) => [p[0], series.low[i], series.high[i]])
    .filter((p) => p[1] !== null);
  if (there.length < 2) return null;
  const up = path(
      there.map((p) => [p[0], p[2]]),
      x,
      y,
    ),
    down = path(there.map((p) => [p[0], p[1]]).reverse(), x, y);
  return h("path", {
    d: up + down.replace("M", "L") + "Z",
    style: null,
    "fill-opacity": 0.1,
    class: "band",
  });
}

function drawLine(series, x, y) {
  const look = series.look,
    points = series.points.filter((p) => p[1] !== null);
  const group = h("g", { "data-name": series.name }, h("title", {}, series.name));
  const area = band(series, x, y);
  if (area) {
    area.style.fill = look.colour;
    group.append(area);
  }
  group.append(
    h("path", {
      d: path(points, x, y),
      stroke: look.colour,
      "stroke-width": 1.8,
      "stroke-dasharray": look.dashes,
      "stroke-linejoin": "round",
    }),
  );
  const stride = Math.max(1, Math.ceil(points.length / (series.marks || 8)));
  points.forEach((p, i) => {
    if (i === points.length - 1 || i % stride === 0)
      group.append(marker(look.marker, x(p[0]), y(p[1]), 3.6, look.colour));
  });
  return group;
}

function axes(box, x, y, chart) {
  const made = [];
  ticks(chart.x[0], chart.x[1], box.width < 480 ? 4 : 7).forEach((t) => {
    made.push(h("line", { class: "grid", x1: x(t), x2: x(t), y1: box.top, y2: box.bottom }));
    made.push(
      h(
        "text",
        { class: "faint", x: x(t), y: box.bottom + 16, "text-anchor": "middle" },
        significant(t),
      ),
    );
  });
  ticks(chart.y[0], chart.y[1], 5).forEach((t) => {
    made.push(h("line", { class: "grid", x1: box.left, x2: box.right, y1: y(t), y2: y(t) }));
    made.push(
      h(
        "text",
        { class: "faint", x: box.left - 6, y: y(t) + 4, "text-anchor": "end" },
        significant(t),
      ),
    );
  });
  made.push(
    h("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
  );
  made.push(h("text", { x: box.right, y: box.bottom + 34, "text-anchor": "end" }, chart.xLabel));
  made.push(h("text", { x: 2, y: 12 }, chart.yLabel));
  return made;
}

function rules(box, x, y, chart) {
  const made = [];
  if (chart.target !== null && chart.target !== undefined) {
    const at = y(chart.target);
    made.push(h("line", { class: "rule", x1: box.left, x2: box.right, y1: at, y2: at }));
    made.push(
      h(
        "text",
        { x: box.right, y: at - 5, "text-anchor": "end" },
        "target " + significant(chart.target),
      ),
    );
  }
  if (chart.budget && chart.budget <= chart.x[1]) {
    const at = x(chart.budget);
    made.push(h("line", { class: "rule", x1: at, x2: at, y1: box.top, y2: box.bottom }));
    made.push(h("text", { x: at - 5, y: box.bottom - 6, "text-anchor": "end" }, "budget"));
  }
  return made;
}

let charts = 0;

function draw(chart, width) {
  const height = Math.min(380, Math.max(250, width * 0.5));
  const box = { width, left: 58, right: width - 12, top: 22, bottom: height - 42 };
  const x = scale(chart.x[0], chart.x[1], box.left, box.right),
    y = scale(chart.y[0], chart.y[1], box.bottom, box.top);
  const clip = "clip" + (charts += 1);
  const lines = h(
    "g",
    { "clip-path": `url(#${clip})` },
    chart.series.map((s) => drawLine(s, x, y)),
  );
  return h(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": chart.label },
    h(
      "clipPath",
      { id: clip },
      h("rect", {
        x: box.left - 4,
        y: box.top - 4,
        width: box.right - box.left + 8,
        height: box.bottom - box.top + 8,
      }),
    ),
    axes(box, x, y, chart),
    lines,
    rules(box, x, y, chart),
  );
}

function sample(look) {
  return h(
    "svg",
    { width: 30, height: 12, "aria-hidden": "true" },
    h("path", {
      d: "M1 6H29",
      stroke: look.colour,
      "stroke-width": 1.8,
      "stroke-dasharray": look.dashes,
    }),
    marker(look.marker, 15, 6, 3.3, look.colour),
  );
}

// The names of the lines; a press on one brings its line forward, a second press shows all again.
function keys(chart, figure) {
  const press = (event) => {
    const name = event.currentTarget.textContent;
    figure.front = figure.front === name ? null : name;
    showFront(figure);
  };
  return h(
    "ul",
    { class: "keys" },
    chart.series.map((s) =>
      h("li", {}, sample(s.look), h("button", { type: "button", click: press }, s.name)),
    ),
  );
}

function showFront(figure) {
  const front = figure.front;
  figure.querySelectorAll("ul.keys button").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.textContent === front));
  });
  figure.querySelectorAll("g[data-name]").forEach((g) => {
    g.classList.toggle("dim", front !== null && g.dataset.name !== front);
  });
}

// A chart with its names; `front` is the line that begins in front, if any.
function chartFigure(chart) {
  const place = h("div", {}),
    figure = h("figure", {}, place);
  if (chart.series.length > 1) figure.append(keys(chart, figure));
  if (chart.caption) figure.append(h("figcaption", { class: "note" }, chart.caption));
  figure.front = chart.front || null;
  figure.redraw = () => {
    const width = Math.max(300, Math.min(900, figure.clientWidth || 700));
    place.replaceChildren(draw(chart, width));
    showFront(figure);
  };
  return figure;
}
