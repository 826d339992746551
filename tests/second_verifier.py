"""A second verifier, from the formats alone: ``python tests/second_verifier.py [VKEY] <BUNDLE`` prints OK or raises."""

import base64
import hashlib
import io
import json
import re
import sys
import zipfile

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def need(condition, what):
    if not condition:
        raise ValueError(what)


def sha(data):
    return hashlib.sha256(data).digest()


def b64(text):
    need(base64.b64encode(raw := base64.b64decode(text, validate=True)).decode() == text, "base64 is not canonical")
    return raw


def read(data, exact=True):  # without fractions, sorted and compact JSON is RFC 8785; statements may hold fractions
    value = json.loads(data.decode())
    again = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    need(not exact or again.encode() == data, "JSON is not canonical")
    return value


def tree(hashes):  # MTH of RFC 6962, section 2.1
    if len(hashes) < 2:
        return hashes[0] if hashes else sha(b"")
    at = 1 << (len(hashes) - 1).bit_length() - 1
    return sha(b"\1" + tree(hashes[:at]) + tree(hashes[at:]))


def included(size, index, leaf, path):  # the root to which a path leads: PATH of section 2.1.1, read backwards
    if size == 1:
        need(not path and index == 0 and len(leaf) == 32, "path or leaf has another length")
        return leaf
    if index < (at := 1 << (size - 1).bit_length() - 1):
        return sha(b"\1" + included(at, index, leaf, path[:-1]) + path[-1])
    return sha(b"\1" + path[-1] + included(size - at, index - at, leaf, path[:-1]))


def consistent(old, new, old_root, path, whole=True):  # both roots: SUBPROOF of section 2.1.2, read backwards
    if old == new:
        need(len(path) == (not whole), "path has another length")
        return (old_root if whole else path[0],) * 2
    if old <= (at := 1 << (new - 1).bit_length() - 1):
        first, second = consistent(old, at, old_root, path[:-1], whole)
        return first, sha(b"\1" + second + path[-1])
    first, second = consistent(old - at, new - at, old_root, path[:-1], False)
    return sha(b"\1" + path[-1] + first), sha(b"\1" + path[-1] + second)


def container(data):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        members = {name: source.read(name) for name in sorted(source.namelist())}
        for name, content in members.items():
            target.writestr(zipfile.ZipInfo(name), content)
            target.filelist[-1].create_system, target.filelist[-1].external_attr = 3, 0o100644 << 16
    need(out.getvalue() == data, "container is not canonical")
    need(all(re.fullmatch(r"[\w.-]+(/[\w.-]+)*", name, re.ASCII) for name in members), "a name is not plain")
    listed = [{"name": n, "sha256": sha(d).hex(), "size": len(d)} for n, d in members.items() if n != "manifest.json"]
    need(read(members["manifest.json"]) == listed, "manifest differs")
    need(set(read(members["pinned.json"])) == {"use_case", "exported_at", "decision_index"}, "bookmark is malformed")
    return members


def checkpoint(members, pin):  # size and root
    line = members["log.vkey"].decode().strip()
    name, key_id, key = line.split("+", 2)
    need(line == (pin or line).strip() and sha(name.encode() + b"\n" + b64(key)).hex()[:8] == key_id, "another key")
    text, _, tail = members["checkpoint"].decode().rpartition("\n\n")
    mine = [b64(part.split()[2]) for part in tail.splitlines() if part.split()[1] == name]
    for blob in [blob for blob in mine if blob[:4].hex() == key_id]:
        Ed25519PublicKey.from_public_bytes(b64(key)[1:]).verify(blob[4:], text.encode() + b"\n")
    origin, size, root = text.split("\n")
    need(key_id in [blob[:4].hex() for blob in mine] and origin == name and str(int(size)) == size, "another ledger")
    return int(size), b64(root)


def place(kind, at, width):
    *groups, last = re.findall("...", f"{at:0{-(-len(str(at)) // 3) * 3}d}")
    return f"tile/{kind}/" + "".join(f"x{group}/" for group in groups) + last + (f".p/{width}" if width < 256 else "")


def tiles(size, root, members):  # the entries, once every tile follows from them
    leaves, expected, level = [], {}, 0
    for at in range(-(-size // 256)):
        name = place("entries", at, min(256, size - 256 * at))
        data = expected[name] = members[name]
        while data:
            end = 2 + int.from_bytes(data[:2], "big")
            need(end <= len(data), "an entry is cut")
            leaves, data = [*leaves, data[2:end]], data[end:]
    need(len(leaves) == size and tree(hashes := [sha(b"\0" + leaf) for leaf in leaves]) == root, "root or size differs")
    while hashes:
        parts = [hashes[i : i + 256] for i in range(0, len(hashes), 256)]
        expected |= {place(level, at, len(part)): b"".join(part) for at, part in enumerate(parts)}
        hashes, level = [tree(part) for part in parts if len(part) == 256], level + 1
    need(expected == {n: d for n, d in members.items() if n.startswith("tile/")}, "tiles differ")
    return leaves


def envelope(body, keys, recorded):
    if body is None and recorded == "policy.adopted":
        return
    kind, data = body["payloadType"].encode(), b64(body["payload"])
    for each in (known := [each for each in body["signatures"] if each["keyid"] in keys]):
        keys[each["keyid"]].verify(b64(each["sig"]), b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(data), data))
    stated = kind == b"application/vnd.in-toto+json"
    need(known and (stated or recorded != "evidence.recorded"), "no known signer, or no statement")
    if stated:
        said = read(data, exact=False)
        need(
            said["_type"] == "https://in-toto.io/Statement/v1" and said["subject"] and said["predicateType"],
            "malformed",
        )
        need(all(re.fullmatch("[0-9a-f]{64}", each["digest"]["sha256"]) for each in said["subject"]), "no digest")


def verify(data, pin=None):
    members, newest, keys = container(data), "", {}
    for index, entry in enumerate(map(read, tiles(*checkpoint(members, pin), members))):
        need(" ".join(entry) == "actor at commitment kind size subject use_case v", f"entry {index} is malformed")
        need(entry["v"] == 1 and entry["kind"] and entry["at"] >= newest, f"entry {index} goes back in time")
        newest = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry["at"])[0]
        if (sealed := read(members.pop(f"payloads/{index}.json"))) == {"erased": True}:
            continue
        salt, payload = bytes.fromhex(sealed["salt"]), b64(sealed["payload"])
        need((entry["commitment"][7:], entry["size"]) == (sha(salt + payload).hex(), len(payload)), f"payload {index}")
        if entry["kind"] in ("person.registered", "producer.registered"):
            raw = bytes.fromhex(read(payload, exact=False)[entry["kind"].split(".")[0]].get("public_key") or "")
            keys |= {f"ed25519:{sha(raw).hex()[:32]}": Ed25519PublicKey.from_public_bytes(raw)} if raw else {}
        if re.fullmatch(r"evidence\.recorded|signature\.added|policy\.adopted|waiver\..*", entry["kind"]):
            envelope(read(payload, exact=False)["envelope"], keys, entry["kind"])
    need(not any(name.startswith("payloads/") for name in members), "a payload has no entry")


if __name__ == "__main__":
    verify(sys.stdin.buffer.read(), *sys.argv[1:2])
    print("OK")
