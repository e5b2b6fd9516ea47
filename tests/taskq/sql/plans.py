"""Plans of statements, as the server made and ran them."""

from __future__ import annotations

import json

import psycopg

#: Waiting tasks of one lane; future ones; failed ones; those another worker holds.
MANY = 20_000


def explain(raw, statement, values):
    """The plan as executed: the nodes, flat."""
    with raw.transaction(force_rollback=True):
        found = psycopg.Cursor(raw).execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, values
        )
        ((plan,),) = found.fetchall()
    (top,) = json.loads(plan) if isinstance(plan, str) else plan
    pages = top["Plan"]["Shared Hit Blocks"] + top["Plan"]["Shared Read Blocks"]
    return flat(top["Plan"]), pages


def flat(node):
    """A node of a plan and all below it."""
    return [node, *(each for child in node.get("Plans", []) for each in flat(child))]


def indexes(nodes):
    return {node["Index Name"] for node in nodes if "Index Name" in node}


def scans_whole_table(nodes, table):
    return any(
        node["Node Type"] == "Seq Scan" and node.get("Relation Name") == table for node in nodes
    )
