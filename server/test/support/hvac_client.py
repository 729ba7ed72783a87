"""What a Python program does with a vault, through hvac. Prints a line for each step that holds; the first that does not ends it."""

import os
import secrets
import sys

import hvac
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest

url = os.environ["KEYWARD_URL"]
root = hvac.Client(url=url, token=sys.stdin.read().strip())


def refuses(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"{call} was not refused with {error.__name__}")


def status():
    assert root.is_authenticated()
    assert root.sys.is_initialized() and not root.sys.is_sealed()
    assert root.sys.read_health_status(method="GET")["initialized"]
    refuses(Forbidden, hvac.Client(url=url, token="nobody").lookup_token)


def kv_2():
    kv = root.secrets.kv.v2
    value = secrets.token_hex(12)
    kv.create_or_update_secret("shop/stripe", secret={"key": value})
    assert kv.read_secret_version("shop/stripe", raise_on_deleted_version=True)["data"]["data"] == {"key": value}
    kv.patch("shop/stripe", secret={"more": "a"})
    assert kv.read_secret_metadata("shop/stripe")["data"]["current_version"] == 2
    assert kv.list_secrets("shop")["data"]["keys"] == ["stripe"]
    refuses(InvalidRequest, kv.create_or_update_secret, "shop/stripe", secret={}, cas=1)
    kv.delete_latest_version_of_secret("shop/stripe")
    refuses(InvalidPath, kv.read_secret_version, "shop/stripe", raise_on_deleted_version=True)
    kv.undelete_secret_versions("shop/stripe", versions=[2])
    kv.destroy_secret_versions("shop/stripe", versions=[1])
    kv.delete_metadata_and_all_versions("shop/stripe")
    refuses(InvalidPath, kv.read_secret_version, "shop/stripe", raise_on_deleted_version=True)


def kv_1():
    root.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
    kv = root.secrets.kv.v1
    kv.create_or_update_secret("a/b", secret={"k": "v"}, mount_point="old")
    assert kv.read_secret("a/b", mount_point="old")["data"] == {"k": "v"}
    assert kv.list_secrets("a", mount_point="old")["data"]["keys"] == ["b"]
    kv.delete_secret("a/b", mount_point="old")
    refuses(InvalidPath, kv.read_secret, "a/b", mount_point="old")
    assert "old/" in root.sys.list_mounted_secrets_engines()["data"]
    root.sys.disable_secrets_engine("old")


def policies():
    root.sys.create_or_update_policy("shop", 'path "secret/data/shop/*" { capabilities = ["read"] }')
    assert "shop" in root.sys.list_policies()["data"]["policies"]
    assert "secret/data/shop" in root.sys.read_policy("shop")["data"]["rules"]
    made = root.auth.token.create(policies=["shop"], ttl="1h")["auth"]
    paths = root.sys.get_capabilities(paths=["secret/data/shop/a"], token=made["client_token"])
    assert paths["data"]["secret/data/shop/a"] == ["read"]
    reader = hvac.Client(url=url, token=made["client_token"])
    refuses(Forbidden, reader.secrets.kv.v2.create_or_update_secret, "shop/a", secret={})
    assert root.auth.token.lookup_accessor(made["accessor"])["data"]["policies"] == ["default", "shop"]
    root.auth.token.revoke(made["client_token"])
    assert not reader.is_authenticated()


def approle():
    root.sys.enable_auth_method("approle")
    approles = root.auth.approle
    approles.create_or_update_approle("shop", token_policies=["shop"], token_ttl="20m", secret_id_num_uses=1)
    assert approles.list_roles()["data"]["keys"] == ["shop"]
    assert approles.read_role("shop")["data"]["token_ttl"] == 1200
    role_id = approles.read_role_id("shop")["data"]["role_id"]
    made = approles.generate_secret_id("shop", metadata={"team": "shop"})["data"]
    found = approles.read_secret_id("shop", made["secret_id"])["data"]
    assert found["metadata"] == {"team": "shop"} and found["secret_id_num_uses"] == 1
    assert approles.list_secret_id_accessors("shop")["data"]["keys"] == [made["secret_id_accessor"]]
    client = hvac.Client(url=url)
    login = client.auth.approle.login(role_id=role_id, secret_id=made["secret_id"])
    assert login["auth"]["metadata"] == {"role_name": "shop", "team": "shop"}
    assert client.is_authenticated()
    refuses(InvalidRequest, client.auth.approle.login, role_id=role_id, secret_id=made["secret_id"])
    own = secrets.token_hex(12)
    approles.create_custom_secret_id("shop", own)
    approles.destroy_secret_id("shop", own)
    refuses(InvalidRequest, client.auth.approle.login, role_id=role_id, secret_id=own)
    approles.update_role_id("shop", "shop-role")
    assert approles.read_role_id("shop")["data"]["role_id"] == "shop-role"
    approles.delete_role("shop")


def userpass():
    root.sys.enable_auth_method("userpass", path="people")
    people = root.auth.userpass
    password = secrets.token_hex(12)
    people.create_or_update_user("mary", password=password, policies="shop", mount_point="people")
    assert people.list_user(mount_point="people")["data"]["keys"] == ["mary"]
    assert people.read_user("mary", mount_point="people")["data"]["token_policies"] == ["shop"]
    client = hvac.Client(url=url)
    client.auth.userpass.login("mary", password, mount_point="people")
    assert client.is_authenticated()
    following = secrets.token_hex(12)
    people.update_password_on_user("mary", following, mount_point="people")
    refuses(InvalidRequest, client.auth.userpass.login, "mary", password, mount_point="people")
    people.delete_user("mary", mount_point="people")
    root.sys.tune_auth_method("people", default_lease_ttl="1h")
    assert root.sys.read_auth_method_tuning("people")["data"]["default_lease_ttl"] == 3600
    assert "people/" in root.sys.list_auth_methods()["data"]
    root.sys.disable_auth_method("people")


def wrapping():
    wrapped = root.auth.token.create(policies=["shop"], wrap_ttl="60s")["wrap_info"]
    assert wrapped["creation_path"] == "auth/token/create"
    unwrapped = root.sys.unwrap(token=wrapped["token"])
    assert unwrapped["auth"]["policies"] == ["default", "shop"]
    refuses(InvalidRequest, root.sys.unwrap, token=wrapped["token"])
    own = root.sys.wrap(payload={"a": "b"}, ttl=60)["wrap_info"]["token"]
    assert hvac.Client(url=url, token=own).sys.unwrap()["data"] == {"a": "b"}


def token_roles():
    tokens = root.auth.token
    tokens.create_or_update_role("app", allowed_policies=["shop"], orphan=True)
    assert tokens.list_roles()["data"]["keys"] == ["app"]
    assert tokens.read_role("app")["data"]["orphan"]
    made = tokens.create(role_name="app")["auth"]
    assert made["orphan"] and made["policies"] == ["default", "shop"]
    refuses(InvalidRequest, tokens.create, role_name="app", policies=["other"])
    tokens.delete_role("app")


for step in (status, kv_2, kv_1, policies, approle, userpass, wrapping, token_roles):
    step()
    print(step.__name__)
