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
    raw = base64.b64decode(text, validate=True)
    return need(base64.b64encode(raw).decode() == text, "base64 is not canonical") or raw


def read(data, exact=True):  # without fractions, sorted and compact JSON is RFC 8785; statements may hold fractions
    value = json.loads(data.decode(), object_pairs_hook=lambda p: need(len(dict(p)) == len(p), "twice") or dict(p))
    again = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return need(not exact or again == data, "JSON is not canonical") or value


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
    known = r"(manifest|pinned)\.json|checkpoint|log\.vkey|(tile|payloads)/.+|blobs/"  # and the attachment's digest
    need(all(re.fullmatch(known + sha(content).hex(), name) for name, content in members.items()), "a stranger")
    listed = [{"name": n, "sha256": sha(d).hex(), "size": len(d)} for n, d in members.items() if n != "manifest.json"]
    need(read(members["manifest.json"]) == listed, "manifest differs")
    need(set(read(members["pinned.json"])) == {"use_case", "exported_at", "decision_index"}, "bookmark is malformed")
    return members


def checkpoint(members, pin):  # size and root
    name, key_id, key = (line := members["log.vkey"].decode().strip()).split("+", 2)
    need(line == (pin or line).strip() and sha(name.encode() + b"\n" + b64(key)).hex()[:8] == key_id, "another key")
    text, _, tail = members["checkpoint"].decode().rpartition("\n\n")
    mine = [b64(part.split()[2]) for part in tail.splitlines() if part.split()[1] == name]
    for blob in [blob for blob in mine if blob[:4].hex() == key_id]:
        Ed25519PublicKey.from_public_bytes(b64(key)[1:]).verify(blob[4:], text.encode() + b"\n")
    origin, size, root = text.split("\n")
    need(key_id in [blob[:4].hex() for blob in mine] and origin == name and str(int(size)) == size, "another ledger")
    return int(size), b64(root)


def place(kind, at, width):
    digits = re.sub("(...)(?=.)", r"x\1/", str(at).zfill(-(-len(str(at)) // 3) * 3))
    return f"tile/{kind}/{digits}" + f".p/{width}" * (width < 256)


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
    kind, data = body["payloadType"].encode(), b64(body["payload"])
    for each in (known := [each for each in body["signatures"] if each["keyid"] in keys]):
        keys[each["keyid"]].verify(b64(each["sig"]), b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(data), data))
    need(known and ((stated := kind == b"application/vnd.in-toto+json") or not re.match("ev|ce", recorded)), "unsigned")
    if stated:
        said = read(data, exact=False)
        need(said["_type"] == "https://in-toto.io/Statement/v1" and said["subject"] and said["predicateType"], "form")
        need(all(re.fullmatch("[0-9a-f]{64}", each["digest"]["sha256"]) for each in said["subject"]), "no digest")


def verify(data, pin=None):
    members, newest, keys, gone, told = container(data), "", {}, set(), set()
    for index, entry in enumerate(map(read, tiles(*checkpoint(members, pin), members))):
        need(" ".join(entry) == "actor at commitment kind size subject use_case v", f"entry {index} is malformed")
        need(entry["v"] == 1 and entry["kind"] and entry["at"] >= newest, f"entry {index} goes back in time")
        newest = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry["at"])[0]
        if (member := members.pop(f"payloads/{index}.json")) == b'{"erased":true}':
            gone.add(index)
            continue
        sealed = re.fullmatch(r'{"payload":"(.*)","salt":"([0-9a-f]{64})"}', member.decode())
        payload, salt = b64(sealed[1]), bytes.fromhex(sealed[2])
        need((entry["commitment"][7:], entry["size"]) == (sha(salt + payload).hex(), len(payload)), f"payload {index}")
        if entry["kind"] == "payload.erased":
            said = read(payload)
            need(list(said) == ["index", "reason"] and [*map(type, said.values())] == [int, str], f"erasure {index}")
            told.add(said["index"] if said["index"] < index else None)  # only an earlier entry can have been erased
        if entry["kind"] in ("person.registered", "producer.registered"):
            text = read(payload, False)[entry["kind"][:-11]].get("public_key") or ""
            raw = bytes.fromhex(re.fullmatch("|[0-9a-f]{64}", text)[0])
            keys |= {f"ed25519:{sha(raw).hex()[:32]}": Ed25519PublicKey.from_public_bytes(raw)} if raw else {}
        if re.fullmatch(r"(certificate|waiver)\..*|(evidence\.record|signature\.add|policy\.adopt)ed", entry["kind"]):
            body = read(payload, exact=False)["envelope"]
            (body is None and entry["kind"] == "policy.adopted") or envelope(body, keys, entry["kind"])
    need(gone == told and not any(n.startswith("payloads/") for n in members), "erasures or payloads fit no entries")


if __name__ == "__main__":
    print(verify(sys.stdin.buffer.read(), *sys.argv[1:2]) or "OK")
