"""The lines that a clinician reads around the patient's text, in Dutch as the receiving care teams are.

Each line speaks for itself: many EPDs show OBX-5 without the label in OBX-3.
"""

from __future__ import annotations

from collections.abc import Iterator

from messaging_service.domain.filing import Change
from messaging_service.epd.document import FilingDocument

LABELS = {
    "PRIORITY": "Spoed",
    "NOTE": "Opmerking",
    "SUBJECT": "Onderwerp",
    "AUTHOR": "Afzender",
    "BODY": "Bericht",
}
"""OBX-3.1 → OBX-3.2, in coding system L (local)."""

ROLES = {"patient": "patiënt", "representative": "vertegenwoordiger"}
RELATIONS = {
    "parent": "ouder",
    "guardian": "voogd",
    "mentor": "mentor",
    "curator": "curator",
    "authorised": "schriftelijk gemachtigde",
}
"""What a representative is to the patient."""

TOPICS = {
    "abdomen": "acute buik",
    "anaphylaxis": "ernstige allergische reactie",
    "bleeding": "bloeding",
    "breathing": "benauwdheid",
    "cardiac": "hart of pijn op de borst",
    "cauda_equina": "caudasyndroom",
    "chemo_fever": "koorts tijdens chemotherapie of bij lage afweer",
    "consciousness": "bewustzijn",
    "diabetic": "ontregelde diabetes",
    "domestic_violence": "huiselijk geweld",
    "eye": "oog",
    "general": "algemene spoed",
    "infant_fever": "koorts bij een zuigeling",
    "limb_ischaemia": "bedreigde ledemaat",
    "obstetric": "zwangerschap of bevalling",
    "poisoning": "vergiftiging of overdosis",
    "seizure": "epileptische aanval",
    "sepsis": "sepsis",
    "stroke": "beroerte",
    "suicidality": "suïcidaliteit",
    "trauma": "ongeval of letsel",
}
"""The topics of the urgency lexicon as a clinician calls them; one that is not listed is shown by its code."""

CAUTION = "LET OP: dit bericht kan volgens de automatische controle grof of dreigend taalgebruik bevatten."
FORMATTED = "De patiënt stuurde opgemaakte tekst; het origineel is bewaard in de berichtendienst."
TRANSLITERATED = "Tekens die dit EPD niet kent zijn omschreven; het origineel is bewaard in de berichtendienst."
CORRECTED = "GECORRIGEERD: deze tekst komt in de plaats van de tekst die eerder bij dit bericht is geplaatst"
WITHDRAWN = "INGETROKKEN: dit bericht is ingetrokken en hoort niet meer in dit dossier"


def around_the_body(document: FilingDocument) -> Iterator[tuple[str, str]]:
    """Code of `LABELS` and line, most pressing first; the body and the note on characters come later."""
    if document.change is Change.CORRECTED:
        yield "NOTE", f"{CORRECTED}{_because(document)}."
    if document.urgent:
        topics = ", ".join(TOPICS.get(topic, topic) for topic in document.topics)
        yield "PRIORITY", f"SPOED: automatisch herkend als mogelijk spoedeisend{f' ({topics})' if topics else ''}."
    if document.caution:
        yield "NOTE", CAUTION
    if document.original_note:
        yield "NOTE", FORMATTED
    role = ROLES.get(document.author_role, document.author_role)
    if document.author_relation:
        role += f": {RELATIONS.get(document.author_relation, document.author_relation)}"
    yield "SUBJECT", f"Onderwerp: {document.subject}"
    yield "AUTHOR", f"Afzender: {document.author_name} ({role})"


def withdrawal(document: FilingDocument) -> Iterator[tuple[str, str]]:
    """The one line that stands in the place of a withdrawn text, where a message must hold one."""
    yield "NOTE", f"{WITHDRAWN}{_because(document)}."


def _because(document: FilingDocument) -> str:
    return f" (reden: {document.reason})" if document.reason else ""
