// Lines drawn by hand: a day of one queue small, or a day of several large.

import { drawn, element } from "./elements.js";
import { clock, say } from "./words.js";

// Gaps where nothing is known stay gaps.
function path(values, most, width, height, inset = 2) {
  const step = width / Math.max(1, values.length - 1);
  let said = "", pen = "M";
  values.forEach((value, at) => {
    if (value === null) { pen = "M"; return; }
    said += `${pen}${(at * step).toFixed(1)},${(height - inset - (value / most) * (height - 2 * inset)).toFixed(1)}`;
    pen = "L";
  });
  return said;
}

export function spark(name, values) {
  const { most, last } = known(values);
  return drawn("svg", {
    class: "spark", viewBox: "0 0 288 32", preserveAspectRatio: "none", role: "img",
    "aria-label": say("spark", name, most, last),
  }, drawn("path", { d: path(values, Math.max(1, most), 288, 32) }));
}

function known(values) {
  const found = values.filter((value) => value !== null);
  return { most: Math.max(0, ...found), last: found.at(-1) ?? 0 };
}

const WIDTH = 400, HEIGHT = 170, LEFT = 40, BOTTOM = 22;

export function chart(title, series, begins, minutes) {
  const most = niceAbove(Math.max(1, ...series.flatMap(({ values }) => values.map((value) => value ?? 0))));
  const width = WIDTH - LEFT, height = HEIGHT - BOTTOM;
  const image = drawn("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
    "aria-label": series.map(({ name, values }) => legend(name, values)).join("; ") });
  for (const part of [0, 0.5, 1]) {
    const y = height - 2 - part * (height - 12);
    image.append(drawn("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y, y2: y }),
      drawn("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, String(most * part)));
  }
  const length = series[0]?.values.length ?? 0;
  for (let hour = 0; hour <= 24; hour += 6) {
    const x = LEFT + (hour / 24) * width;
    const anchor = hour === 0 ? "start" : hour === 24 ? "end" : "middle";
    image.append(drawn("text", { x, y: HEIGHT - 4, "text-anchor": anchor }, clock(begins + (hour / 24) * length * minutes * 60_000)));
  }
  for (const { values, kind } of series) {
    const inner = path(values, most, width, height - 10, 2);
    image.append(drawn("path", { d: inner, class: kind, transform: `translate(${LEFT} 8)` }));
  }
  return element("figure", {}, element("figcaption", {}, title), image,
    element("ul", { class: "legend" }, series.map(({ name, values, kind }) =>
      element("li", { class: kind }, legend(name, values)))));
}

function legend(name, values) {
  const { most, last } = known(values);
  return say("spark", name, most, last);
}

function niceAbove(value) {
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((times) => times * size).find((nice) => nice >= value && (nice / 2) % 1 === 0) ?? Math.ceil(value / 2) * 2;
}
