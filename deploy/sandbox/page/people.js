// Who lives in the sandbox, and which of them is at the portal.

import { ask } from "./api.js";

let people = [];
let chosen = null;

export async function loadPeople() {
  people = (await ask("/people")).all;
  return people;
}

export function choosePatient(id) {
  chosen = id;
}

export const patient = () => people.find((person) => person.id === chosen);
export const tokenOf = (id) => people.find((person) => person.id === id)?.token;
