// Building elements: text is always text, never markup.

const SVG = "http://www.w3.org/2000/svg";

export function element(tag, { class: name = "", data = {}, ...properties } = {}, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  Object.assign(made.dataset, data);
  for (const [property, value] of Object.entries(properties)) {
    if (property in made && !property.startsWith("aria")) made[property] = value;
    else made.setAttribute(property, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== ""));
  return made;
}

export function drawn(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export const find = (id) => document.getElementById(id);

// Replace children only when what they show has changed, and give the focus back to what had it.
export function show(target, key, children) {
  const shown = JSON.stringify(key);
  if (target.dataset.shown === shown) return;
  target.dataset.shown = shown;
  const held = target.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  target.replaceChildren(...children());
  if (held) target.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
}

// A table whose rows become cards on a narrow screen; roles said aloud, since styling would take them away.
export function table(caption, heads, rows) {
  return element("table", { class: "stacks", role: "table", "aria-label": caption },
    element("thead", { role: "rowgroup" },
      element("tr", { role: "row" }, heads.map((head) => element("th", { scope: "col", role: "columnheader" }, head)))),
    element("tbody", { role: "rowgroup" }, rows));
}

export const head = (...children) => element("th", { scope: "row", role: "rowheader" }, ...children);

export function cell(label, name, ...children) {
  return element("td", { role: "cell", class: name, data: label ? { label } : {} }, ...children);
}

export const line = (name, ...cells) => element("tr", { role: "row", class: name }, ...cells);
