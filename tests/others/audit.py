"""Checks a whole published log with aics-tlog: the checkpoint's signatures, every tile, every entry.

audit.py URL LOG_VKEY POLICY_JSON
"""

import sys

from aics_tlog import HttpTileReader, WitnessPolicy, audit_tiles, parse_note, parse_vkey, verify_checkpoint

url, log, policy = sys.argv[1:]
reader = HttpTileReader(url, proxies={})
note = parse_note(reader.read_checkpoint())
with open(policy, "rb") as file:
    head = verify_checkpoint(note, parse_vkey(log), policy=WitnessPolicy.from_json(file.read()))
if not head.ok:
    sys.exit(head.error)
report = audit_tiles(reader, head.size, head.root)
print(f"{report.size} {report.tiles} {report.bundles}")
