// Every word of the page, in Dutch and English.

// Steps whose queue also holds what no list can know of.
const UNSEEN = new Set(["escalate", "notify"]);

const WORDS = {
  nl: {
    title: "Berichtenverkeer", skip: "Naar de inhoud", search: "Nummer van een bericht", open: "Openen", leave: "Afmelden",
    cancel: "Niet doen", login: "Aanmelden", login_at: (name) => `Aanmelden bij ${name}`, login_token: "Aanmelden met token", login_failed: "Het aanmelden is niet gelukt. Probeer het opnieuw.", login_or: "Of met een token:", login_text: "Plak het toegangstoken van uw aanmelding bij het ziekenhuis, met de rol ops. Het blijft in dit tabblad en verdwijnt als u het sluit.",
    token: "Toegangstoken", login_fault_401: "Dit token geldt niet of niet meer.", login_fault_403: "Dit token geeft geen toegang: de rol ops met het recht operations:read is nodig, na een sterke aanmelding.",
    live: "live", lost: "geen verbinding; er wordt opnieuw geprobeerd", fault: (what) => `Dat lukte niet: ${what}.`,
    attention: "Wat aandacht vraagt", all_well: "Niets vraagt nu aandacht van een mens.",
    down: { broker: "De berichtenbroker antwoordt niet.", store: "De opslag antwoordt niet.", keyring: "De sleutels kunnen niet worden gelezen.", epd: "Het EPD antwoordt niet. Berichten wachten en gaan niet verloren.", "on-call": "De dienstdoende is niet te bereiken.", webhook: "Het portaal neemt geen meldingen aan.", "alarm-path": "Het proefalarm komt niet bij de dienstdoende aan: een echt alarm misschien ook niet." },
    alarms_open: (n) => `${n} ${n === 1 ? "alarm is" : "alarmen zijn"} nog niet bevestigd.`, parked_n: (n) => `${n} ${n === 1 ? "bericht staat" : "berichten staan"} apart en ${n === 1 ? "wacht" : "wachten"} op een mens.`,
    ledger_amiss: "De telling klopt niet: er is iets kwijt of te laat.", nobody: (q) => `Niemand werkt aan ${q}.`,
    queues: "Stappen", step: "Stap", waiting: "Wachtend", oldest: "Oudste", in: "In per min.", out: "Uit per min.", failed: "Mislukt, 24 u", day: "Wachtend, 24 u", everyone: "alle ziekenhuizen",
    steps: { persist: "Opslaan", file: "In EPD zetten", escalate: "Alarmeren", notify: "Portaal melden", park: "Apart zetten" }, lanes: { urgent: "spoed", normal: "gewoon" },
    dead: "Apart zetten mislukt", spark: (name, most, now) => `${name}: hoogste ${most}, nu ${now}`,
    plot_waiting: "Wachtend op EPD, laatste 24 uur", plot_moved: "Berichten per 5 minuten, laatste 24 uur", put: "klaar voor EPD", filed: "in EPD gezet",
    plots: "Laatste 24 uur", parked: "Apart gezet", none_parked: "Niets staat apart.", reason: "Reden", number: "Aantal", since: "Oudste sinds",
    epd: "EPD en processen", epd_up: "Het EPD antwoordt.", epd_down: "Het EPD antwoordt niet; de stap wacht.", connections: (open, most) => `${open} van ${most} verbindingen open`, no_processes: "Geen proces geeft een teken van leven.",
    process: "Proces", runs_since: "Loopt sinds", seen: "Gezien", circuits: "Wacht op een server", none: "geen",
    alarms: "Alarmen", no_alarms: "Alle alarmen zijn bevestigd.", alarm_line: (n, ago) => `${n} ${n === 1 ? "bericht" : "berichten"}, ${ago} geleden`,
    replies: "Antwoordtermijnen", replies_well: "Geen termijn is verstreken zonder antwoord.", replies_passed: (n) => `Van ${n} ${n === 1 ? "bericht is de termijn" : "berichten is de termijn"} verstreken zonder antwoord.`,
    ledger: "Telling", ledger_ok: (ago) => `${ago} geleden nagegaan: niets is kwijt of te laat.`, ledger_not_ok: (ago) => `${ago} geleden nagegaan: niet alles is op zijn plaats.`, no_ledger: "Nog niet nagegaan.",
    counts: { confirmed: "Bevestigd aan portaal", persisted: "Opgeslagen", waiting: "Wachtend", under_way: "Onderweg naar EPD", delivered: "Afgeleverd, nog niet bewezen", parked: "Apart gezet", lost: "Kwijt", late: "Te laat", unproven: "Niet bewezen", unconfirmed: "Zonder bekend antwoord" },
    behind: (step) => `${step}: wat wacht`, behind_failed: (step) => `${step}: mislukt in de laatste 24 uur`,
    behind_titles: { delivered: "Afgeleverd en niet bewezen", escalate: "Wat nog niet aan de dienst is gemeld", notify: "Wat nog niet aan het portaal is gemeld", webhook: "Wat het portaal niet heeft aangenomen", alarms: "Alarmen die niemand heeft bevestigd", overdue: "Antwoordtermijnen die zijn verstreken", lost: "Telling: kwijt", late: "Telling: te laat", unproven: "Telling: niet bewezen", unconfirmed: "Telling: zonder bekend antwoord" },
    abouts: { escalate: "Melding", notify: "Melding", webhook: "Melding", failed: "Reden", overdue: "Behandelteam" }, ats: { webhook: "Volgende poging", failed: "Apart sinds", alarms: "Alarm sinds", overdue: "Verstreken op" },
    no_messages: (stage) => stage === "failed" ? "De stap heeft in deze tijd geen bericht opgegeven. Wat na een fout alsnog is gelukt, staat in geen lijst; wat nog wordt geprobeerd, staat bij Wachtend met zijn pogingen." : UNSEEN.has(stage) ? "Hier wacht geen bericht. Staat er toch een aantal, dan is het een proefalarm of een melding die niets nalaat, zoals gelezen of gewijzigd." : "Hier wacht nu niets.", none_so_far: "Tot hier niets gevonden; er is meer om na te gaan.",
    message: "Bericht", state: "Toestand", accepted_at: "Aangenomen", attempts: "Pogingen",
    states: { accepted: "aangenomen", waiting: "wacht", sending: "wordt verstuurd", unknown: "antwoord onbekend", delivered: "afgeleverd", filed: "in EPD", parked: "apart gezet", closed: "afgehandeld", replayed: "opnieuw gestuurd", held: "vastgehouden voor de dienst", received: "ontvangen", owed: "wordt nog aangeboden", given_up: "opgegeven" },
    journey: (id) => `Bericht ${id}`, thread: "Gesprek", lane: "Baan", care_team: "Behandelteam", routed_by: "Gevonden door", kind: "Soort", kinds: { submission: "van patiënt", reply: "antwoord van behandelaar" },
    not_stored: "Van dit bericht is nog niets opgeslagen: het wacht nog, of het is hier niet aangenomen.",
    whats: { accepted: "Aangenomen", persisted: "Opgeslagen", sent: "Naar het EPD gestuurd", acknowledged: "Antwoord van het EPD", parked: "Apart gezet", replayed: "Opnieuw gestuurd", closed: "Afgesloten", given: "Gegeven aan iemand", alarm: "Alarm gegeven", alarm_acknowledged: "Alarm bevestigd" },
    facts: { attempt: "poging", sendings: "keer verstuurd", control_id: "MSH-10", code: "MSA-1", error: "fout", acknowledged: "MSA-2", sha256: "SHA-256 van het antwoord", step: "stap", reason: "reden", owner: "van", by: "door", remark: "hoe", state: "toestand", lane: "baan", place: "plaats in gesprek", rungs: "stappen hogerop" },
    parked_title: (step, reason) => `${step}: ${reason}`, owner: "Van", parked_at: "Apart sinds", more: "Meer tonen",
    retry: "Opnieuw", retry_all: (n) => `Alle ${n} opnieuw`, close: "Afsluiten", give: "Geven aan", done: "Gedaan.",
    ask_retry: "Dit bericht opnieuw door de stap sturen?", ask_retry_text: "Het houdt hetzelfde nummer: het komt nooit tweemaal in het EPD. Dit wordt vastgelegd.", ask_all: (n) => `Alle ${n} berichten opnieuw door de stap sturen?`,
    ask_close: "Dit bericht afsluiten?", ask_close_text: "Het komt dan niet in het EPD. Schrijf hoe het is afgehandeld, zonder inhoud of patiëntgegevens. Dit wordt vastgelegd.", remark: "Hoe het is afgehandeld", ask_give: "Aan wie geeft u dit bericht?", ask_give_text: "Dit wordt vastgelegd.", whose: "Wie",
    back: "Terug naar het overzicht",
    reasons: { transit_seal: "niet te openen met deze sleutels", not_in_store: "niet in de opslag", delivery_limit: "een proces is er telkens op gestopt", tenant_unknown: "ziekenhuis onbekend", unreadable_event: "onleesbaar", no_treatment_relation: "geen behandelrelatie", internal: "fout in de dienst" },
  },
  en: {
    title: "Message traffic", skip: "Skip to content", search: "Id of a message", open: "Open", leave: "Log out",
    cancel: "Do not", login: "Log in", login_at: (name) => `Log in at ${name}`, login_token: "Log in with a token", login_failed: "Logging in did not succeed. Try again.", login_or: "Or with a token:", login_text: "Paste the access token of your login at the hospital, with the role ops. It stays in this tab and is gone when you close it.",
    token: "Access token", login_fault_401: "This token does not hold, or not any more.", login_fault_403: "This token does not let you in: the role ops with the scope operations:read is needed, after a strong login.",
    live: "live", lost: "no connection; trying again", fault: (what) => `That did not work: ${what}.`,
    attention: "What needs attention", all_well: "Nothing needs a person now.",
    down: { broker: "The message broker does not answer.", store: "The store does not answer.", keyring: "The keys cannot be read.", epd: "The EPD does not answer. Messages wait and are not lost.", "on-call": "On-call cannot be reached.", webhook: "The portal does not take events.", "alarm-path": "The rehearsed alarm does not reach on-call: a real one may not either." },
    alarms_open: (n) => `${n} ${n === 1 ? "alarm is" : "alarms are"} not acknowledged yet.`, parked_n: (n) => `${n} ${n === 1 ? "message is" : "messages are"} parked and ${n === 1 ? "waits" : "wait"} for a person.`,
    ledger_amiss: "The ledger does not add up: something is lost or late.", nobody: (q) => `Nobody works on ${q}.`,
    queues: "Steps", step: "Step", waiting: "Waiting", oldest: "Oldest", in: "In a min.", out: "Out a min.", failed: "Failed, 24 h", day: "Waiting, 24 h", everyone: "all hospitals",
    steps: { persist: "Persist", file: "File into EPD", escalate: "Escalate", notify: "Notify portal", park: "Park" }, lanes: { urgent: "urgent", normal: "normal" },
    dead: "Parking failed", spark: (name, most, now) => `${name}: at most ${most}, now ${now}`,
    plot_waiting: "Waiting for the EPD, last 24 hours", plot_moved: "Messages in 5 minutes, last 24 hours", put: "ready for the EPD", filed: "filed into EPD",
    plots: "Last 24 hours", parked: "Parked", none_parked: "Nothing is parked.", reason: "Reason", number: "Number", since: "Oldest since",
    epd: "EPD and processes", epd_up: "The EPD answers.", epd_down: "The EPD does not answer; the step waits.", connections: (open, most) => `${open} of ${most} connections open`, no_processes: "No process gives a sign of life.",
    process: "Process", runs_since: "Runs since", seen: "Seen", circuits: "Waits for a server", none: "none",
    alarms: "Alarms", no_alarms: "All alarms are acknowledged.", alarm_line: (n, ago) => `${n} ${n === 1 ? "message" : "messages"}, ${ago} ago`,
    replies: "Reply dates", replies_well: "No reply date has passed without an answer.", replies_passed: (n) => `The reply date of ${n} ${n === 1 ? "message" : "messages"} has passed without an answer.`,
    ledger: "Ledger", ledger_ok: (ago) => `Checked ${ago} ago: nothing is lost or late.`, ledger_not_ok: (ago) => `Checked ${ago} ago: not everything is in its place.`, no_ledger: "Not checked yet.",
    counts: { confirmed: "Confirmed to a portal", persisted: "Persisted", waiting: "Waiting", under_way: "On the way into the EPD", delivered: "Delivered, not proved yet", parked: "Parked", lost: "Lost", late: "Late", unproven: "Not proved", unconfirmed: "No known answer" },
    behind: (step) => `${step}: what waits`, behind_failed: (step) => `${step}: failed in the last 24 hours`,
    behind_titles: { delivered: "Delivered and not proved", escalate: "What on-call was not told of yet", notify: "What the portal was not told of yet", webhook: "What the portal has not taken", alarms: "Alarms that nobody acknowledged", overdue: "Reply dates that have passed", lost: "Ledger: lost", late: "Ledger: late", unproven: "Ledger: not proved", unconfirmed: "Ledger: no known answer" },
    abouts: { escalate: "Event", notify: "Event", webhook: "Event", failed: "Reason", overdue: "Care team" }, ats: { webhook: "Next try", failed: "Parked since", alarms: "Alarm since", overdue: "Passed on" },
    no_messages: (stage) => stage === "failed" ? "The step gave up on no message in this time. What failed and then succeeded is in no list; what is still being tried is under Waiting, with its attempts." : UNSEEN.has(stage) ? "No message waits here. If there is a number all the same, it is a rehearsed alarm, or an event that leaves nothing behind, such as read or changed." : "Nothing waits here now.", none_so_far: "Nothing found so far; there is more to look through.",
    message: "Message", state: "State", accepted_at: "Accepted", attempts: "Attempts",
    states: { accepted: "accepted", waiting: "waiting", sending: "being sent", unknown: "answer unknown", delivered: "delivered", filed: "filed", parked: "parked", closed: "closed", replayed: "replayed", held: "held for on-call", received: "received", owed: "to be posted again", given_up: "given up" },
    journey: (id) => `Message ${id}`, thread: "Thread", lane: "Lane", care_team: "Care team", routed_by: "Routed by", kind: "Kind", kinds: { submission: "from a patient", reply: "clinician's reply" },
    not_stored: "Nothing is stored of this message: it still waits, or it was not accepted here.",
    whats: { accepted: "Accepted", persisted: "Persisted", sent: "Sent to the EPD", acknowledged: "Answer of the EPD", parked: "Parked", replayed: "Sent again", closed: "Closed", given: "Given to somebody", alarm: "Alarm raised", alarm_acknowledged: "Alarm acknowledged" },
    facts: { attempt: "attempt", sendings: "times sent", control_id: "MSH-10", code: "MSA-1", error: "error", acknowledged: "MSA-2", sha256: "SHA-256 of the answer", step: "step", reason: "reason", owner: "owner", by: "by", remark: "how", state: "state", lane: "lane", place: "place in thread", rungs: "rungs climbed" },
    parked_title: (step, reason) => `${step}: ${reason}`, owner: "Owner", parked_at: "Parked since", more: "Show more",
    retry: "Retry", retry_all: (n) => `Retry all ${n}`, close: "Close", give: "Give to", done: "Done.",
    ask_retry: "Send this message through its step again?", ask_retry_text: "It keeps its number: it never reaches the EPD twice. This is written down.", ask_all: (n) => `Send all ${n} messages through their step again?`,
    ask_close: "Close this message?", ask_close_text: "It will not reach the EPD then. Write how it was dealt with, without content or patient data. This is written down.", remark: "How it was dealt with", ask_give: "Whom do you give this message to?", ask_give_text: "This is written down.", whose: "Who",
    back: "Back to the overview",
    reasons: { transit_seal: "cannot be opened with these keys", not_in_store: "not in the store", delivery_limit: "a process stopped on it again and again", tenant_unknown: "hospital unknown", unreadable_event: "unreadable", no_treatment_relation: "no treatment relation", internal: "fault in the service" },
  },
};

const KEPT = "language";
let spoken = localStorage.getItem(KEPT) ?? (navigator.language.toLowerCase().startsWith("nl") ? "nl" : "en");
if (!(spoken in WORDS)) spoken = "nl";

export const language = () => spoken;
export const otherLanguage = () => (spoken === "nl" ? "en" : "nl");

export function speak(chosen) {
  spoken = chosen;
  localStorage.setItem(KEPT, chosen);
}

export function say(word, ...about) {
  const said = WORDS[spoken][word];
  if (typeof said === "function") return said(...about);
  if (typeof said === "object") return said[about[0]] ?? String(about[0]);
  return said ?? word;
}

export const number = (value) => value.toLocaleString(spoken);
const locale = () => (spoken === "nl" ? "nl-NL" : "en-GB");
export const clock = (moment) => new Date(moment).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit" });
export const date = (when) => new Date(`${when}T12:00`).toLocaleDateString(locale(), { dateStyle: "medium" });
export const moment = (when) => new Date(when).toLocaleString(locale(), { dateStyle: "short", timeStyle: "medium" });

export function age(seconds) {
  const units = spoken === "nl" ? ["d", "u", "min", "s"] : ["d", "h", "min", "s"];
  const sizes = [86_400, 3_600, 60, 1];
  const at = sizes.findIndex((size) => seconds >= 2 * size || size === 1);
  return `${Math.max(0, Math.floor(seconds / sizes[at]))} ${units[at]}`;
}

export const ago = (when) => age((Date.now() - Date.parse(when)) / 1000);
