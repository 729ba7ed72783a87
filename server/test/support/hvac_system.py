"""What hvac asks of sys/ beside mounts and policies. The token and a folder for logs come on standard input."""

import os
import sys
import tempfile

import hvac

token, folder = sys.stdin.read().split("\n")
client = hvac.Client(url=os.environ["KEYWARD_URL"], token=token)

client.secrets.kv.v2.create_or_update_secret("a", secret={"n": "1"})
client.sys.move_backend("secret", "moved")
read = client.secrets.kv.v2.read_secret_version("a", mount_point="moved", raise_on_deleted_version=True)
assert read["data"]["data"] == {"n": "1"}, read
client.sys.move_backend("moved", "secret")
print("move")

client.sys.enable_audit_device(
    "file", description="ours", path="file", options={"file_path": os.path.join(folder, "hvac.log")}
)
devices = client.sys.list_enabled_audit_devices()["data"]
assert set(devices) == {"file/", "keyward/"}, devices
digest = client.sys.calculate_hash("file", "x")["data"]["hash"]
assert digest.startswith("hmac-sha256:"), digest
client.sys.disable_audit_device("file")
try:
    client.sys.enable_audit_device("file", path="other", options={"file_path": "/etc/hosts"})
    raise AssertionError("a device may write anywhere")
except hvac.exceptions.InvalidRequest as error:
    assert "file_path must lie in" in str(error), error
print("audit")

assert client.sys.read_health_status(method="GET")["sealed"] is False
assert client.sys.is_initialized()
assert client.sys.read_leader_status()["ha_enabled"] is False
assert client.sys.get_encryption_key_status()["data"]["term"] == 1
print("status")

with client.sys.take_raft_snapshot() as response:
    snapshot = response.content
client.secrets.kv.v2.create_or_update_secret("a", secret={"n": "2"})
with tempfile.TemporaryFile() as file:
    file.write(snapshot)
    file.seek(0)
    client.sys.restore_raft_snapshot(file.read())
while client.sys.is_sealed():
    pass
read = client.secrets.kv.v2.read_secret_version("a", raise_on_deleted_version=True)
assert read["data"]["data"] == {"n": "1"}, read
print("snapshot")

client.sys.create_or_update_quota(name="shop", path="secret/", rate=1, interval="1h")
assert client.sys.read_quota("shop")["data"]["rate"] == 1
assert client.sys.list_quotas()["data"]["keys"] == ["shop"]
client.secrets.kv.v2.read_secret_version("a", raise_on_deleted_version=True)
try:
    client.secrets.kv.v2.read_secret_version("a", raise_on_deleted_version=True)
    raise AssertionError("the limit does not hold")
except hvac.exceptions.RateLimitExceeded as error:
    assert "rate limit quota exceeded" in str(error), error
client.sys.delete_quota("shop")
print("limits")
