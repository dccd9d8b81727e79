"""Builds a log with aics-tlog and has every checkpoint of it cosigned by a witness, as a log of the package's would.

grow.py FOLDER ORIGIN SEED_HEX key                 prints the log's verifier key
grow.py FOLDER ORIGIN SEED_HEX grow URL VKEY SIZE…  grows the log to each size in turn; prints the newest note
grow.py FOLDER ORIGIN SEED_HEX fork URL VKEY SIZE   signs another tree of this size, too; prints what the witness says of it
"""

import sys

from aics_tlog import (
    Checkpoint,
    DirectoryTileStore,
    IncrementalTileWriter,
    MerkleTree,
    WitnessPolicy,
    format_vkey,
    parse_note,
    parse_vkey,
    sign_checkpoint,
    verify_checkpoint,
    vkey_from_ed25519,
)
from aics_witness.feeder import FeederError, WitnessClient, merge_cosignatures
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

folder, origin, seed, what = sys.argv[1:5]
key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
log = vkey_from_ed25519(origin, key.public_key())


def entries(word: str, size: int) -> list[bytes]:
    return [f"{word} {index}".encode() for index in range(size)]


def grow(client: WitnessClient, witness: str, sizes: list[int]) -> str:
    store = DirectoryTileStore(folder, fsync=False)
    writer = IncrementalTileWriter(store, size=0)
    note = b""
    for size in sizes:
        writer.append(entries("entry", size)[writer.size :])
        signed = sign_checkpoint(Checkpoint(origin, size, writer.root()), key, origin).to_bytes()
        proofs = MerkleTree(entries("entry", size)).consistency_proof
        note = merge_cosignatures(signed, client.submit(signed, proofs))
        policy = WitnessPolicy(1, (parse_vkey(witness),), 60)
        head = verify_checkpoint(parse_note(note), log, policy=policy)
        if not head.ok or head.size != size:
            sys.exit(f"the cosigned checkpoint of size {size} is refused: {head.error}")
        store.write_checkpoint(note)
    return note.decode()


def fork(client: WitnessClient, size: int) -> str:
    tree = MerkleTree(entries("other", size))
    signed = sign_checkpoint(Checkpoint(origin, size, tree.root()), key, origin).to_bytes()
    try:
        return client.submit(signed, tree.consistency_proof)
    except FeederError as error:
        return f"{type(error).__name__}: {error}"


if what == "key":
    print(format_vkey(log))
else:
    url, witness = sys.argv[5:7]
    sizes = [int(size) for size in sys.argv[7:]]
    with WitnessClient(url, witness, max_attempts=1) as client:
        print(grow(client, witness, sizes) if what == "grow" else fork(client, sizes[0]), end="")
