"""What a Python program does with an authority, through hvac. Prints a line for each step that holds; the first that does not ends it."""

import os
import sys

import hvac
from hvac.exceptions import InvalidPath, InvalidRequest

client = hvac.Client(url=os.environ["KEYWARD_URL"], token=sys.stdin.read().strip())
pki = client.secrets.pki
ssh = client.secrets.ssh


def refuses(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"{call} was not refused with {error.__name__}")


def root():
    client.sys.enable_secrets_engine("pki")
    made = pki.generate_root("internal", "Root", extra_params={"ttl": "700h", "key_type": "ec"})["data"]
    assert pki.read_ca_certificate() == made["certificate"]
    assert pki.read_ca_certificate_chain() == made["certificate"]
    issuers = pki.list_issuers()["data"]
    assert issuers["keys"] == [made["issuer_id"]]
    assert pki.read_issuer("default")["data"]["certificate"] == made["certificate"]
    pki.update_issuer("default", {"issuer_name": "main"})
    assert pki.read_issuer("main")["data"]["issuer_id"] == made["issuer_id"]
    pki.set_urls({"issuing_certificates": ["https://example.com/ca"], "crl_distribution_points": []})
    assert pki.read_urls()["data"]["issuing_certificates"] == ["https://example.com/ca"]


def roles():
    pki.create_or_update_role("web", {"allow_any_name": True, "ttl": "1h", "key_type": "ec"})
    assert pki.read_role("web")["data"]["ttl"] == 3600
    assert pki.list_roles()["data"]["keys"] == ["web"]
    pki.create_or_update_role("gone", {"ttl": "1h"})
    pki.delete_role("gone")
    refuses(InvalidPath, pki.read_role, "gone")


def certificates():
    leaf = pki.generate_certificate("web", "a.test")["data"]
    assert pki.read_certificate(leaf["serial_number"])["data"]["certificate"] == leaf["certificate"]
    assert leaf["serial_number"] in pki.list_certificates()["data"]["keys"]
    refuses(InvalidRequest, pki.generate_certificate, "web", "not a name")
    refuses(InvalidRequest, pki.sign_certificate, "web", "not a request", "a.test")
    refuses(InvalidRequest, pki.sign_verbatim, "not a request")


def intermediate():
    client.sys.enable_secrets_engine("pki", path="below")
    asked = pki.generate_intermediate("internal", "Below", extra_params={"key_type": "ec"}, mount_point="below")
    csr = asked["data"]["csr"]
    signed = pki.sign_intermediate(csr, "Below", extra_params={"ttl": "600h"})["data"]
    pki.set_signed_intermediate(signed["certificate"], mount_point="below")
    assert len(pki.list_issuers(mount_point="below")["data"]["keys"]) == 1


def revocation():
    leaf = pki.generate_certificate("web", "b.test")["data"]
    before = pki.read_crl()
    pki.revoke_certificate(leaf["serial_number"])
    assert "BEGIN X509 CRL" in pki.read_crl() and pki.read_crl() != before
    pki.set_crl_configuration(expiry="48h", disable=False)
    assert pki.read_crl_configuration()["data"]["expiry"] == "48h"
    assert pki.rotate_crl()["data"]["success"]
    pki.tidy({"tidy_cert_store": True, "safety_buffer": "1h"})
    pki.revoke_issuer("main")


def ssh_certificates():
    client.sys.enable_secrets_engine("ssh")
    ssh.submit_ca_information(generate_signing_key=True, key_type="ed25519")
    public_key = ssh.read_public_key()["data"]["public_key"]
    ssh.create_role("r", key_type="ca", allow_user_certificates=True, allowed_users="ada", default_user="ada", ttl="1h")
    assert ssh.list_roles()["data"]["keys"] == ["r"]
    signed = ssh.sign_ssh_key("r", public_key, valid_principals="ada")["data"]
    assert signed["signed_key"].startswith("ssh-ed25519-cert-v01@openssh.com ")
    ssh.delete_role("r")


def end():
    pki.delete_issuer("main")
    pki.delete_root()
    client.sys.disable_secrets_engine("pki")


for step in (root, roles, certificates, intermediate, revocation, ssh_certificates, end):
    step()
    print(step.__name__.removesuffix("_certificates"))
