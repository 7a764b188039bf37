"""Histories of groups with one thing changed for the worse, each of which a judge must find broken."""


def places(events, what, name):
    """Where group 0's members take that step, or ask for that, in order."""
    said = lambda event: event["call"] if what == "call" else event
    key = "call" if what == "call" else "step"
    return [place for place, event in enumerate(events)
            if event["kind"] == what and (said(event)[key], said(event).get("group")) == (name, 0)]


def changed(events, place, **more):
    """A copy in which the call at a place, or the event, says something else."""
    event = events[place]
    event = {**event, "call": {**event["call"], **more}} if event["kind"] == "call" else {**event, **more}
    return events[:place] + [event] + events[place + 1:]


def ahead(events):
    """A commit of more than its member had processed."""
    commits = places(events, "call", "commit")
    place = commits[len(commits) // 2]
    return changed(events, place, offset=events[place]["call"]["offset"] + 3)


def passed_over(events):
    """A record is not processed: its member goes to the next one."""
    processed = places(events, "group", "processed")
    place = processed[len(processed) // 2]
    event, before = events[place], max(event["op"] for event in events[:place] if event["kind"] == "call")
    call = {"call": "assign", "tp": event["tp"], "position": event["position"], "last": False}
    instead = {"at": event["at"], "kind": "call", "op": before + 1, "client": event["client"], "incarnation": 0,
               "call": call}
    return events[:place] + [instead] + events[place + 1:]


def two_owners(events):
    """A partition is given to two members in one generation."""
    synced = places(events, "group", "synced")
    for place in places(events, "group", "assigned"):
        event = events[place]
        others = [events[s]["client"] for s in synced if s < place and events[s]["generation"] == event["generation"]]
        other = next((client for client in others if client != event["client"]), None)
        if other is not None:
            return events[:place + 1] + [{**event, "client": other}] + events[place + 1:]
    raise AssertionError("no two members were ever in one generation")


def forgotten(events):
    """The last that looks up how far the group has come is told less than was committed."""
    op = events[places(events, "call", "fetch_offset")[-1]]["op"]
    place = next(at for at, event in enumerate(events) if event["kind"] == "return" and event["op"] == op)
    reply = events[place]["reply"]
    return changed(events, place, reply={**reply, "offset": reply["offset"] - 1})


def outdated(events):
    """A commit of a generation that was over is accepted."""
    place = places(events, "call", "commit")[-1]
    return changed(events, place, generation=events[place]["call"]["generation"] - 1)


SPOILED = {"B11": ahead, "B9": passed_over, "B19": two_owners, "B17": forgotten, "B18g": outdated}
"""By what the judge must find broken."""
