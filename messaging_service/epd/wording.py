"""The lines that a clinician reads around the patient's text, in Dutch as the receiving care teams are.

Each line speaks for itself: many EPDs show OBX-5 without the label in OBX-3.
"""

from __future__ import annotations

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

CAUTION = "LET OP: dit bericht kan volgens de automatische controle grof of dreigend taalgebruik bevatten."
FORMATTED = "De patiënt stuurde opgemaakte tekst; het origineel is bewaard in de berichtendienst."
TRANSLITERATED = "Tekens die dit EPD niet kent zijn omschreven; het origineel is bewaard in de berichtendienst."


def around_the_body(document: FilingDocument) -> list[tuple[str, str]]:
    """Code of `LABELS` and line, most pressing first; the body and the note on characters come later."""
    said = []
    if document.urgent:
        topics = f" ({', '.join(document.topics)})" if document.topics else ""
        said.append(("PRIORITY", f"SPOED: automatisch herkend als mogelijk spoedeisend{topics}."))
    if document.caution:
        said.append(("NOTE", CAUTION))
    if document.original_note:
        said.append(("NOTE", FORMATTED))
    role = ROLES.get(document.author_role, document.author_role)
    said.append(("SUBJECT", f"Onderwerp: {document.subject}"))
    said.append(("AUTHOR", f"Afzender: {document.author_name} ({role})"))
    return said
