"""A back office in Python, over the client that was generated into the folder this is run in: brings a visit in, works on it,
and follows the feed. Says on stdout what it saw, as JSON."""

import json
import os

from generated.api.changes import get_changes
from generated.api.intake import post_intake_counter
from generated.api.interactions import get_requests_by_id_interactions
from generated.api.requests import get_requests, get_requests_by_id, patch_requests_by_id
from generated.client import AuthenticatedClient
from generated.models import Change, Taken

client = AuthenticatedClient(base_url=os.environ["VOXEA"], token=os.environ["KEY"])

begun = get_changes.sync(client=client, limit=500)
contact = Taken(text="Un lampadaire est en panne", from_="0612345678", subject="Éclairage")
made = post_intake_counter.sync(client=client, body=contact, idempotency_key="python-1")
found = next(item for item in get_requests.sync(client=client, limit=500).items if item.id == made.id)

read = get_requests_by_id.sync_detailed(found.id, client=client)
etag = read.headers["etag"]
patched = patch_requests_by_id.sync(found.id, client=client, body=Change(status="to_qualify"), if_match=etag)
stale = patch_requests_by_id.sync_detailed(found.id, client=client, body=Change(status="open"), if_match=etag)
contacts = get_requests_by_id_interactions.sync(found.id, client=client)

seen, after, more = [], begun.next_, True
while more:
    page = get_changes.sync(client=client, after=after)
    seen += [event.type_ for event in page.items if event.subject == found.id]
    after, more = page.next_, page.has_more
missing = get_requests_by_id.sync(id="00000000-0000-7000-8000-000000000000", client=client)

print(json.dumps({
    "id": found.id, "subject": read.parsed.subject, "status": patched.status, "stale": stale.status_code,
    "text": contacts.items[0].text, "seen": seen, "missing": missing.type_,
}))
