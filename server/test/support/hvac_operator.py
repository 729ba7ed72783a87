"""What operators do with hvac: a vault that nobody has initialised is made, opened, rekeyed, rotated and closed."""

import base64
import os

import hvac

client = hvac.Client(url=os.environ["KEYWARD_URL"])
assert not client.sys.is_initialized()
assert client.sys.read_seal_status()["initialized"] is False
made = client.sys.initialize(secret_shares=3, secret_threshold=2)
keys = made["keys"]
assert len(keys) == 3 and len(made["keys_base64"]) == 3
assert client.sys.is_sealed()
client.sys.submit_unseal_key(keys[0])
assert client.sys.read_seal_status()["progress"] == 1
client.sys.submit_unseal_key(reset=True)
assert client.sys.read_seal_status()["progress"] == 0
client.sys.submit_unseal_keys(keys[:2])
assert not client.sys.is_sealed()
client.token = made["root_token"]

assert client.sys.read_health_status(method="GET")["initialized"]
assert client.sys.read_leader_status()["ha_enabled"] is False
client.sys.rotate_encryption_key()
assert client.sys.get_encryption_key_status()["data"]["term"] == 2
client.sys.step_down()

begun = client.sys.start_rekey(secret_shares=1, secret_threshold=1)
assert client.sys.read_rekey_progress()["started"]
done = client.sys.rekey_multi(keys[1:], nonce=begun["nonce"])
assert done["complete"]
(key,) = done["keys"]
begun = client.sys.start_rekey(secret_shares=1, secret_threshold=1)
client.sys.cancel_rekey()
assert not client.sys.read_rekey_progress()["started"]

begun = client.sys.start_root_token_generation()
assert client.sys.read_root_generation_progress()["started"]
done = client.sys.generate_root(key=key, nonce=begun["nonce"])
encoded = done["encoded_root_token"]
raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
token = bytes(a ^ b for a, b in zip(raw, begun["otp"].encode())).decode()
client.token = token
assert client.auth.token.lookup_self()["data"]["policies"] == ["root"]
client.sys.start_root_token_generation()
client.sys.cancel_root_generation()
assert not client.sys.read_root_generation_progress()["started"]

client.sys.seal()
assert client.sys.is_sealed()
for wrong in keys[:1]:
    try:
        client.sys.submit_unseal_key(wrong)
        raise SystemExit("a share of before the rekey was taken")
    except hvac.exceptions.InvalidRequest:
        pass
client.sys.submit_unseal_key(key)
assert not client.sys.is_sealed()
print("done")
