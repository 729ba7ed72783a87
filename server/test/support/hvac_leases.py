# Leases of a mount `books/`, as Python programs handle them.
import os
import sys

import hvac
from hvac.exceptions import InvalidRequest

root = hvac.Client(url=os.environ["KEYWARD_URL"], token=sys.stdin.read())


def refuses(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"{call.__name__} should have failed")


def grant(role="shop"):
    return root.read(f"books/creds/{role}")


made = grant()
lease_id = made["lease_id"]
assert made["renewable"] and made["lease_duration"] == 600
found = root.sys.read_lease(lease_id)["data"]
assert found["id"] == lease_id and found["renewable"] and found["last_renewal"] is None
assert root.sys.renew_lease(lease_id, increment=1200)["lease_duration"] == 1200
assert root.sys.read_lease(lease_id)["data"]["last_renewal"]
assert root.sys.list_leases("books/creds/shop")["data"]["keys"] == [lease_id.rsplit("/", 1)[1]]
root.sys.revoke_lease(lease_id)
refuses(InvalidRequest, root.sys.read_lease, lease_id)
refuses(InvalidRequest, root.sys.renew_lease, lease_id)
grant()
grant("other")
root.sys.revoke_prefix("books/creds/shop")
assert root.sys.list_leases("books/creds")["data"]["keys"] == ["other/"]
root.sys.revoke_force("books/creds/other")
print("leases")
