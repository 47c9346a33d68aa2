"use strict";
// What can be computed without a document: numbers as text, order, addresses, scales, profiles.

// Seconds as a person reads them: 43.2 s, 12.3 min, 5.41 h.
function time(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 120) return seconds.toFixed(1) + " s";
  if (seconds < 7200) return (seconds / 60).toFixed(1) + " min";
  return (seconds / 3600).toFixed(2) + " h";
}

// On a clock of steps the same figures are counts.
function amount(value, clock) {
  return clock === "steps" && value !== null ? Math.round(value).toLocaleString("en") : time(value);
}

function digits(value, count) {
  return value === null || value === undefined ? "–" : value.toFixed(count);
}

function significant(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(3);
  return String(Number(value.toPrecision(5)));
}

function percent(part, count) {
  return part === null || part === undefined ? "–" : (100 * part).toFixed(count || 0) + " %";
}

// Order of two cells: numbers by size, names naturally (trial_2 before trial_10), and what is
// missing last in both directions.
function compare(a, b, sign) {
  const noA = a === null || a === undefined || a === "",
    noB = b === null || b === undefined || b === "";
  if (noA || noB) return noA - noB;
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}

// The rows of a table by one of its columns; equal rows keep their order.
function sorted(rows, column, sign) {
  return rows
    .map((row, i) => [row, i])
    .sort((x, y) => compare(x[0][column], y[0][column], sign) || x[1] - y[1])
    .map((pair) => pair[0]);
}

function address(...parts) {
  return "#/" + parts.map((part) => encodeURIComponent(part)).join("/");
}

// The parts of an address; null if it is none (a broken % escape).
function parts(hash) {
  try {
    return hash
      .replace(/^#\/?/, "")
      .split("/")
      .filter((part) => part !== "")
      .map(decodeURIComponent);
  } catch (error) {
    return null;
  }
}

function scale(low, high, from, to) {
  const width = high - low || 1;
  return (value) => from + ((to - from) * (value - low)) / width;
}

// Round numbers from low to high, about `count` of them.
function ticks(low, high, count) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const raw = span / count,
    power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 2.5, 5, 10].find((m) => m * power >= raw * 0.999) * power;
  const made = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1)
    made.push(Number((k * step).toPrecision(12)));
  return made;
}

// Corners of a performance profile: the share of workloads with a ratio up to tau, from 1 to
// `most`.
function profileSteps(ratios, most) {
  const kept = ratios.filter((r) => r !== null && r <= most).sort((a, b) => a - b);
  const points = [[1, kept.filter((r) => r <= 1).length / ratios.length]];
  kept
    .filter((r) => r > 1)
    .forEach((r) => {
      const before = points[points.length - 1][1];
      points.push([r, before], [r, before + 1 / ratios.length]);
    });
  points.push([most, points[points.length - 1][1]]);
  return points;
}

// The window of values worth looking at: what comes after a tenth of the time, and the target.
function window_(series, target, end) {
  let late = series.flatMap((points) => points.filter((p) => p[0] >= 0.1 * end).map((p) => p[1]));
  if (!late.length) late = series.flatMap((points) => points.map((p) => p[1]));
  const values = late
    .concat(target === null ? [] : [target])
    .filter((v) => v !== null)
    .sort((a, b) => a - b);
  if (!values.length) return [0, 1];
  const middle = values.slice(
    Math.floor(values.length * 0.02),
    Math.ceil(values.length * 0.98) || 1,
  );
  const low = Math.min(middle[0], target === null ? Infinity : target);
  const high = Math.max(middle[middle.length - 1], target === null ? -Infinity : target);
  const air = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - air, high + air];
}

// One hue from light to dark, by the share of the budget: green and red would fail many eyes.
function shade(share) {
  const part = Math.max(0, Math.min(1, share));
  const mix = (from, to) => Math.round(from + (to - from) * part);
  return "rgb(" + [mix(224, 120), mix(238, 178), mix(250, 222)].join(",") + ")";
}
