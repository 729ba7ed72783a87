# Database credentials, as Python programs handle them; the connection is given by the environment.
import os
import sys

import hvac
from hvac.exceptions import InternalServerError, InvalidPath, InvalidRequest

root = hvac.Client(url=os.environ["KEYWARD_URL"], token=sys.stdin.read())
database = root.secrets.database


def refuses(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error as found:
        return str(found)
    raise AssertionError(f"{call.__name__} should have failed")


kept = root.secrets.kv.v2.read_secret_version("connection")["data"]["data"]
root.sys.enable_secrets_engine("database")
database.configure(
    name="shop",
    plugin_name="postgresql-database-plugin",
    allowed_roles=["reader", "app"],
    root_rotation_statements=[],
    connection_url=kept["url"],
    username=kept["username"],
    password=kept["password"],
)
assert database.list_connections()["data"]["keys"] == ["shop"]
shown = database.read_connection("shop")["data"]
assert shown["allowed_roles"] == ["reader", "app"] and kept["password"] not in str(shown)
print("connection")

database.create_role(
    name="reader",
    db_name="shop",
    creation_statements=[
        "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';",
        'GRANT SELECT ON orders TO "{{name}}";',
    ],
    default_ttl="10m",
    max_ttl="1h",
)
assert database.list_roles()["data"]["keys"] == ["reader"]
assert database.read_role("reader")["data"]["max_ttl"] == 3600
made = database.generate_credentials("reader")
assert made["lease_duration"] == 600 and made["data"]["username"].startswith("v-root-reader-")
root.sys.renew_lease(made["lease_id"], increment=1200)
root.sys.revoke_lease(made["lease_id"])
print("credentials")

database.create_static_role(name="app", db_name="shop", username="app", rotation_statements=[], rotation_period=3600)
assert database.list_static_roles()["data"]["keys"] == ["app"]
assert database.read_static_role("app")["data"]["rotation_period"] == 3600
first = database.get_static_credentials("app")["data"]
database.rotate_static_role_credentials("app")
second = database.get_static_credentials("app")["data"]
assert first["username"] == "app" and first["password"] != second["password"]
print("static")

database.rotate_root_credentials("shop")
database.reset_connection("shop")
assert database.generate_credentials("reader")["data"]["password"]
refuses(InvalidRequest, database.generate_credentials, "nobody")
database.create_role(name="writer", db_name="shop", creation_statements=["SELECT 1"])
assert "is not an allowed role" in refuses(InternalServerError, database.generate_credentials, "writer")
database.delete_static_role("app")
database.delete_role("reader")
refuses(InvalidPath, database.read_role, "reader")
database.delete_connection("shop")
refuses(InvalidPath, database.list_connections)
print("refusals")
