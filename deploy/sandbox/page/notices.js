// Notices as the service words them.

import { element } from "./elements.js";

export const notice = (said, kind) => element("p", { class: `notice ${kind}`, lang: said.language }, ...withNumbers(said));

// Telephone numbers in the text as links.
export function withNumbers({ text, telephone }) {
  const numbers = [...telephone].sort((one, other) => other.length - one.length);
  const pieces = text.split(new RegExp(`(?<![0-9-])(${numbers.join("|")})(?![0-9-])`));
  return pieces.map((piece) => (numbers.includes(piece) ? element("a", { href: `tel:${piece.replace(/-/g, "")}` }, piece) : piece));
}
