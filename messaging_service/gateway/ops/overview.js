// The first place: what needs attention, every step, what is parked, the EPD, the alarms, the ledger.

import { asked } from "./api.js";
import { cell, element, find, head, line, show, table } from "./elements.js";
import { chart, spark } from "./plots.js";
import { age, ago, date, language, moment, number, say } from "./words.js";

let now = null, day = null;

const CARDS = [
  ["attention", "wide", attention], ["queues", "wide", queues], ["parked", "", parked], ["alarms", "", alarms], ["replies", "", replies],
  ["plots", "wide", plots], ["epd", "", epd], ["ledger", "", ledger],
];

export function openOverview(main) {
  main.replaceChildren(element("h1", { class: "visually-hidden" }, say("title")),
    element("div", { class: "cards" }, CARDS.map(([name, kind]) =>
      element("section", { id: name, class: kind, tabIndex: -1, "aria-labelledby": `${name}-title` },
        element("h2", { id: `${name}-title` }, say(name)),
        element("div", name === "attention" ? { role: "status" } : {})))));
  render();
}

export function showNow(view) {
  now = view;
  render();
}

export async function showDay() {
  day = await asked("day");
  render();
}

function render() {
  if (now === null) return;
  for (const [name, , make] of CARDS) {
    const card = find(name);
    if (card) {
      const [key, children] = make();
      show(card.lastElementChild, [language(), key], children);
    }
  }
}

export function stepName(queue) {
  if (queue.queue === "park.dead") return say("dead");
  return queue.lane ? `${say("steps", queue.step)}, ${say("lanes", queue.lane)}` : say("steps", queue.step);
}

const DOWN_LEADS = { epd: "#/messages/file", "on-call": "#/messages/escalate", webhook: "#/messages/webhook" };

// What waits to be parked lies in the broker alone, and a queue is never browsed.
function behindQueue({ step, lane }) {
  return step === "park" ? "" : `#/messages/${step}${lane ? `/${lane}` : ""}`;
}

function attention() {
  const parkedAll = now.parked.reduce((all, { count }) => all + count, 0);
  const idle = now.down.length ? [] : now.queues.filter(({ depth, consumers, queue }) => depth > 0 && !consumers && queue !== "park.dead");
  const found = [
    ...now.down.map((server) => ["urgent", say("down", server), DOWN_LEADS[server]]),
    ...(now.alarms.open ? [["urgent", say("alarms_open", now.alarms.open), "#/messages/alarms"]] : []),
    ...(now.ledger && !now.ledger.ok ? [["urgent", say("ledger_amiss"), "#ledger"]] : []),
    ...idle.map((queue) => ["urgent", say("nobody", stepName(queue)), behindQueue(queue)]),
    ...(parkedAll ? [["", say("parked_n", parkedAll), "#parked"]] : []),
  ];
  return [found, () => found.length
    ? [element("ul", {}, found.map(([kind, text, href]) => element("li", { class: kind }, href ? element("a", { href, data: { key: href } }, text) : text)))]
    : [element("p", { class: "well" }, say("all_well"))]];
}

function queues() {
  const series = Object.fromEntries((day?.queues ?? []).map((one) => [one.queue, one]));
  const rows = now.queues.filter(({ queue, depth }) => queue !== "park.dead" || depth);
  const key = [rows.map((row) => [row.queue, row.depth, row.consumers, row.oldest_seconds, row.put_a_minute, row.done_a_minute]), day?.begins_at];
  return [key, () => [table(say("queues"), ["step", "waiting", "oldest", "in", "out", "failed", "day"].map((word) => say(word)),
    rows.map((row) => queueRow(row, series[row.queue])))]];
}

function queueRow(row, series) {
  const depth = element("strong", {}, row.depth === undefined ? "?" : number(row.depth));
  const name = stepName(row), href = behindQueue(row);
  return line(row.depth ? "waits" : "",
    head(name, row.shared ? element("span", { class: "tag" }, say("everyone")) : ""),
    cell(say("waiting"), "number", href
      ? element("a", { href, data: { key: row.queue }, "aria-label": `${name}: ${row.depth ?? "?"} ${say("waiting").toLowerCase()}` }, depth) : depth),
    cell(say("oldest"), "number", row.oldest_seconds === undefined ? "–" : age(row.oldest_seconds)),
    cell(say("in"), "number", number(row.put_a_minute)), cell(say("out"), "number", number(row.done_a_minute)),
    cell(say("failed"), "number", failedLink(row, name, series)),
    cell("", "whole", series ? spark(name, series.depth) : ""));
}

function failedLink(row, name, series) {
  if (!series) return "…";
  const failed = number(series.failed.reduce((all, one) => all + one, 0));
  return element("a", { href: `#/messages/failed/${row.step}${row.lane ? `.${row.lane}` : ""}`, data: { key: `failed ${row.queue}` }, "aria-label": `${name}: ${failed} ${say("failed").toLowerCase()}` }, failed);
}

function parked() {
  return [now.parked, () => now.parked.length
    ? [table(say("parked"), ["step", "reason", "number", "since"].map((word) => say(word)), now.parked.map((kind) =>
      line("", head(say("steps", kind.step)), cell("", "", reasonLink(kind)),
        cell(say("number"), "number", number(kind.count)), cell(say("since"), "", moment(kind.oldest_at)))))]
    : [element("p", { class: "well" }, say("none_parked"))]];
}

function reasonLink({ step, reason }) {
  return element("a", { href: `#/parked/${step}/${encodeURIComponent(reason)}`, data: { key: `${step} ${reason}` } }, reasonText(reason));
}

export function reasonText(reason) {
  const said = say("reasons", reason);
  return said === reason ? reason : `${said} (${reason})`;
}

const linked = (href, text) => element("a", { href, data: { key: href } }, text);

function alarms() {
  const { open, oldest } = now.alarms;
  return [[open, oldest, Math.floor(Date.now() / 60_000)], () => open
    ? [element("p", { class: "amiss" }, linked("#/messages/alarms", say("alarms_open", open))), element("ul", { class: "plain" }, oldest.map((alarm) =>
      element("li", {}, messageLink(alarm.message), " ", element("span", { class: "quiet" }, say("alarm_line", alarm.messages, ago(alarm.raised_at))))))]
    : [element("p", { class: "well" }, say("no_alarms"))]];
}

function replies() {
  const { passed, oldest } = now.reply_dates;
  return [now.reply_dates, () => passed
    ? [element("p", {}, linked("#/messages/overdue", say("replies_passed", passed))), element("ul", { class: "plain" }, oldest.map((one) =>
      element("li", {}, messageLink(one.message), " ", element("span", { class: "quiet" }, `${date(one.reply_by)}, ${one.care_team}`))))]
    : [element("p", { class: "well" }, say("replies_well"))]];
}

export function messageLink(id) {
  return element("a", { href: `#/message/${id}`, data: { key: id } }, element("code", {}, id));
}

function plots() {
  return [day?.begins_at, () => {
    if (!day) return [];
    const of = (step, lane, what) => day.queues.find(({ queue }) => queue.startsWith(`${step}.`) && queue.endsWith(lane))?.[what] ?? [];
    const sum = (step, what) => of(step, "normal", what).map((value, at) => value + (of(step, "urgent", what)[at] ?? 0));
    const begins = Date.parse(day.begins_at);
    return [element("div", { class: "plots" },
      chart(say("plot_waiting"), [
        { name: say("lanes", "normal"), values: of("file", "normal", "depth"), kind: "normal" },
        { name: say("lanes", "urgent"), values: of("file", "urgent", "depth"), kind: "urgent" }], begins, day.minutes),
      chart(say("plot_moved"), [
        { name: say("put"), values: sum("file", "put"), kind: "other" },
        { name: say("filed"), values: sum("file", "done"), kind: "normal" }], begins, day.minutes))];
  }];
}

function epd() {
  const down = now.down.includes("epd");
  const key = [down, now.processes.map(({ name, started_at, circuits, epd_connections }) => [name, started_at, circuits, epd_connections])];
  const lines = now.processes.filter(({ epd_connections: lines }) => lines);
  const open = lines.reduce((all, { epd_connections: one }) => all + one.open, 0);
  const most = lines.reduce((all, { epd_connections: one }) => all + one.most, 0);
  return [key, () => [
    element("p", { class: down ? "amiss" : "well" }, say(down ? "epd_down" : "epd_up"), most ? ` ${say("connections", open, most)}.` : ""),
    now.processes.length ? table(say("process"), ["process", "runs_since", "circuits"].map((word) => say(word)), now.processes.map((one) =>
      line("", head(one.name.replaceAll("+", ", ")), cell(say("runs_since"), "whole-words", moment(one.started_at)), cell(say("circuits"), "", one.circuits.join(", ") || say("none")))))
      : element("p", { class: "amiss" }, say("no_processes"))]];
}

const LEDGER_LEADS = {
  waiting: "#/messages/persist", under_way: "#/messages/file", delivered: "#/messages/delivered", parked: "#parked",
  lost: "#/messages/lost", late: "#/messages/late", unproven: "#/messages/unproven", unconfirmed: "#/messages/unconfirmed",
};

function ledger() {
  const report = now.ledger;
  if (!report) return [null, () => [element("p", {}, say("no_ledger"))]];
  const found = Object.entries(report.findings).filter(([, ids]) => ids.length);
  return [[report, Math.floor(Date.now() / 60_000)], () => [
    element("p", { class: report.ok ? "well" : "amiss" }, say(report.ok ? "ledger_ok" : "ledger_not_ok", ago(report.at))),
    element("dl", {}, Object.entries(report.counts).flatMap(([name, count]) => [element("dt", {}, say("counts", name)), element("dd", {}, count && name in LEDGER_LEADS ? linked(LEDGER_LEADS[name], number(count)) : number(count))])),
    ...found.flatMap(([name, ids]) => [element("h3", {}, say("counts", name)), element("ul", { class: "plain" }, ids.map((id) => element("li", {}, messageLink(id))))])]];
}
