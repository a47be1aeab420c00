// Building elements: text is always text, never markup.

export function element(tag, { class: name = "", ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  if (name) made.className = name;
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

export const find = (id) => document.getElementById(id);

// Replace children only when what they show has changed: a reader's place and focus stay.
export function show(target, key, children) {
  const shown = JSON.stringify(key);
  if (target.dataset.shown === shown) return;
  target.dataset.shown = shown;
  target.replaceChildren(...children());
}
