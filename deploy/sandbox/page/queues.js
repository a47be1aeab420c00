// Below: what waits where, and the switches that break things.

import { ask } from "./api.js";
import { element, find, show } from "./elements.js";
import { counts } from "./sent.js";
import { pageLanguage, say } from "./words.js";

const STEPS = ["persist", "file", "escalate", "notify", "park"];
const MOMENTS = 120;
const history = [];
let running = true;

export function openQueues() {
  for (const radio of document.querySelectorAll("[name=mode]")) {
    radio.addEventListener("change", () => ask("/epd/mode", { method: "POST", body: { mode: radio.value } }));
  }
  find("worker").addEventListener("click", async () => {
    find("worker").disabled = true;
    await ask("/worker", { method: "POST", body: { running: !running } });
    find("worker").disabled = false;
    await showQueues();
  });
  find("prove").addEventListener("click", prove);
}

export async function showQueues() {
  const { ok, said } = await ask("/queues");
  if (!ok) return;
  running = said.worker;
  find("worker-state").textContent = say(running ? "worker_runs" : "worker_gone");
  find("worker").textContent = say(running ? "worker_kill" : "worker_start");
  const steps = STEPS.map((step) => [step, ...sum(said, step)]);
  show(find("steps"), [pageLanguage(), steps, said.alarms], () => steps.map((step) => card(step, said.alarms)));
  history.push(steps.reduce((all, [, waiting]) => all + waiting, 0));
  history.splice(0, history.length - MOMENTS);
  plot();
  showLedger();
}

function sum({ queues, parked }, step) {
  const own = Object.entries(queues).filter(([name]) => name.split(".")[0] === step && !name.endsWith(".dead"));
  const waiting = own.reduce((all, [, queue]) => all + (queue.waiting ?? 0), 0);
  const oldest = Math.max(0, ...own.map(([, queue]) => queue.oldest ?? 0));
  return step === "park" ? [parked, 0] : [waiting, Math.round(oldest)];
}

function card([step, waiting, oldest], alarms) {
  const below = step === "escalate" ? say("alarms", alarms) : oldest ? say("oldest", oldest) : say("waiting");
  return element("li", { class: waiting ? "waits" : "" },
    element("span", {}, say(`step_${step}`)), element("strong", {}, String(waiting)), element("span", { class: "quiet" }, below));
}

function plot() {
  const most = Math.max(1, ...history);
  const points = history.map((waiting, index) => `${(index / (MOMENTS - 1)) * 600},${76 - (waiting / most) * 72}`);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", `M${points.join("L")}`);
  find("plot").replaceChildren(line);
  find("plot-title").textContent = say("plot", Math.max(...history));
}

export function showLedger() {
  find("ledger-line").textContent = say("ledger", counts());
}

async function prove() {
  find("proof").textContent = say("proving");
  const { said } = await ask("/ledger");
  find("proof").textContent = said?.ok ? say("proved", said) : say("not_proved");
}
