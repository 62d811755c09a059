"""What the names in the API mean, said once: the description of every field that says nothing of its own.

A word is a field's name, `?name` in the query, or `Schema.name` (without Patched, Fields and Request) where it means something else there.
A field's own help_text counts more. Each floor has such a file for the words it brings.
"""

WORDS: dict[str, str] = {
    "code": "Stable name of what was refused; listed at /api/docs/problems.",
    "contactEmail": "Where people of the partner are reached.",
    "datacontenttype": "Media type of `data`.",
    "createdAt": "When it was made.",
    "detail": "The same in a sentence, for people.",
    "epoch": "Which life of the feed this is; another one means that positions begin anew.",
    "field": "The field it is about, as in `lines[0].quantity`.",
    "gln": "GS1 Global Location Number, 13 digits.",
    "id": "The event's own id, the same wherever it is heard.",
    "items": "The rows of this page, in the order of the list.",
    "name": "What people call it.",
    "pointer": "The same place as a JSON pointer (RFC 6901).",
    "revokedAt": "When it was taken back; null: it is good.",
    "scopes": "What it may do.",
    "source": "Who tells it.",
    "specversion": "Version of CloudEvents.",
    "status": "Where it stands.",
    "subject": "What it happened to, as `noun/id`.",
    "supplierId": "The supplier's code.",
    "retailPartnerId": "The retail partner's code.",
    "time": "When it happened.",
    "type": "Which kind it is.",
    "version": "Rises by one with each change.",
    "?kind": "Only of this kind.",
    "?status": "Only what stands there now.",
    "?supplierId": "Only what is of this supplier.",
    "Application.scopes": "What its tokens may do.",
    "Event.data": "What is so since; its fields depend on `type`, see /api/v1/events/types.",
    "Event.type": "What happened; the types are at /api/v1/events/types.",
    "EventPage.items": "Events in the order they were committed.",
    "EventTypes.items": "Every type of event there is.",
    "EventType.type": "The name an event carries as `type`.",
    "Rotated.clientId": "The OAuth client whose secret it is.",
    "Supplier.status": "Its word is taken while it is active.",
    "Supplier.version": "Rises by one with each change; the ETag says the same.",
    "RetailPartner.version": "Rises by one with each change; the ETag says the same.",
    "RetailPartner.status": "It can order while it is active.",
    "Problem.type": "Where this kind of refusal is explained.",
    "Problem.title": "The kind of refusal in a few words, always the same for one `code`.",
    "Problem.status": "The HTTP status of the answer.",
    "Problem.detail": "What is wrong this time, in a sentence for people.",
    "Problem.instance": "The path that was asked.",
    "Problem.requestId": "The id of this request, as in the header X-Request-Id; name it when you ask for help.",
    "Problem.errors": "Each field that cannot be used.",
}

# What follows a noun in a path.
PATHS: dict[str, dict[str, str]] = {
    "suppliers": {"supplierId": "The supplier's code."},
    "apiKeys": {"keyId": "The first part of the key."},
    "retailPartners": {"retailPartnerId": "The retail partner's code."},
}
