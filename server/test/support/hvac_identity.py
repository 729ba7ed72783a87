"""Identity and JWT as a Python program uses them, through hvac. Prints a line for each step that holds; the first that does not ends it."""

import json
import os
import sys

import hvac
from hvac.exceptions import Forbidden, InvalidRequest

url = os.environ["KEYWARD_URL"]
given = json.loads(sys.stdin.read())
root = hvac.Client(url=url, token=given["token"])
identity = root.secrets.identity


def refuses(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"{call} was not refused with {error.__name__}")


def entities():
    made = identity.create_or_update_entity(name="tom", policies=["default"], metadata={"team": "shop"})["data"]
    assert identity.read_entity(entity_id=made["id"])["data"]["metadata"] == {"team": "shop"}
    assert identity.read_entity_by_name("tom")["data"]["id"] == made["id"]
    identity.update_entity(entity_id=made["id"], name="thomas", disabled=True)
    assert identity.read_entity(made["id"])["data"]["disabled"]
    assert identity.list_entities()["data"]["keys"] == [made["id"]]
    assert identity.list_entities_by_name()["data"]["keys"] == ["thomas"]
    assert identity.lookup_entity(name="thomas")["data"]["id"] == made["id"]
    other = identity.create_or_update_entity_by_name("other")["data"]
    identity.merge_entities(from_entity_ids=other["id"], to_entity_id=made["id"])
    assert identity.read_entity(made["id"])["data"]["merged_entity_ids"] == [other["id"]]
    refuses(InvalidRequest, identity.create_or_update_entity, name="x", policies=["root"])
    identity.delete_entity(made["id"])


def jwt():
    root.sys.enable_auth_method("jwt")
    root.auth.jwt.configure(jwt_validation_pubkeys=[given["pem"]])
    assert root.auth.jwt.read_config()["data"]["jwt_validation_pubkeys"] == [given["pem"].strip()]
    root.auth.jwt.create_role(
        name="build",
        user_claim="sub",
        role_type="jwt",
        bound_audiences=["keyward"],
        allowed_redirect_uris=[],
        groups_claim="groups",
        token_policies=["default"],
    )
    assert root.auth.jwt.list_roles()["data"]["keys"] == ["build"]
    assert root.auth.jwt.read_role("build")["data"]["user_claim"] == "sub"
    refuses(InvalidRequest, hvac.Client(url=url).auth.jwt.jwt_login, role="build", jwt=given["jwt"] + "x")


def groups():
    accessor = root.sys.list_auth_methods()["data"]["jwt/"]["accessor"]
    made = identity.create_or_update_group(name="ops", group_type="external", policies=["ops"])["data"]
    alias = identity.create_or_update_group_alias(name="ops", mount_accessor=accessor, canonical_id=made["id"])["data"]
    assert identity.read_group_alias(alias["id"])["data"]["name"] == "ops"
    client = hvac.Client(url=url)
    auth = client.auth.jwt.jwt_login(role="build", jwt=given["jwt"])["auth"]
    assert auth["identity_policies"] == ["ops"]
    assert client.is_authenticated()
    assert identity.read_group(made["id"])["data"]["member_entity_ids"] == [auth["entity_id"]]
    assert identity.list_groups_by_name()["data"]["keys"] == ["ops"]
    found = identity.lookup_entity(alias_name="job", alias_mount_accessor=accessor)["data"]
    assert found["id"] == auth["entity_id"]
    aliases = identity.list_entity_aliases()["data"]["keys"]
    assert identity.read_entity_alias(aliases[0])["data"]["canonical_id"] == auth["entity_id"]
    identity.update_entity(entity_id=auth["entity_id"], disabled=True)
    refuses(Forbidden, client.lookup_token)
    identity.delete_group_by_name("ops")


def tokens():
    identity.configure_tokens_backend(issuer="https://vault.example:8200")
    assert identity.read_tokens_backend_configuration()["data"]["issuer"] == "https://vault.example:8200"
    identity.create_named_key("signer", algorithm="ES256", allowed_client_ids=["*"])
    assert identity.list_named_keys()["data"]["keys"] == ["signer"]
    identity.create_or_update_role("who", key="signer", template='{"name": {{identity.entity.name}}}')
    root.sys.create_or_update_policy("ask", 'path "identity/oidc/token/who" { capabilities = ["read"] }')
    root.sys.enable_auth_method("userpass")
    root.auth.userpass.create_or_update_user("mary", password=given["password"], policies="ask")
    client = hvac.Client(url=url)
    client.auth.userpass.login("mary", given["password"])
    token = client.secrets.identity.generate_signed_id_token("who")["data"]["token"]
    assert identity.introspect_signed_id_token(token)["active"]
    assert not identity.introspect_signed_id_token(token + "x")["active"]
    assert identity.read_well_known_configurations()["issuer"].endswith("/v1/identity/oidc")
    # hvac's own rotate_named_key writes the key's settings instead.
    root.adapter.post("/v1/identity/oidc/key/signer/rotate", json={"verification_ttl": 0})
    assert not identity.introspect_signed_id_token(token)["active"]
    assert len(identity.read_active_public_keys()["keys"]) == 2


for step in (entities, jwt, groups, tokens):
    step()
    print(step.__name__)
