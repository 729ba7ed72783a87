// Terraform's Vault provider, called as Terraform calls it: plan, apply, refresh, plan again, and destroy in reverse. The address is
// in KEYWARD_URL, the token comes on standard input. Each resource is printed once its second plan is empty; the first that fails
// ends the program. The provider's own resources for roles of AppRole and JWT are not here: this release of it reads names
// that HashiCorp Vault no longer sends. They are written through vault_generic_endpoint instead.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/hashicorp/terraform/helper/schema"
	"github.com/hashicorp/terraform/terraform"
	"github.com/terraform-providers/terraform-provider-vault/vault"
)

type resource struct {
	kind string
	// given what was made before, by kind
	config func(made map[string]*terraform.InstanceState) map[string]any
}

func fixed(config map[string]any) func(map[string]*terraform.InstanceState) map[string]any {
	return func(map[string]*terraform.InstanceState) map[string]any { return config }
}

var resources = []resource{
	{"vault_policy", fixed(map[string]any{"name": "tf", "policy": `path "secret/data/tf" { capabilities = ["read"] }`})},
	{"vault_mount", fixed(map[string]any{
		"path": "tf-kv", "type": "kv", "description": "by terraform", "options": map[string]any{"version": "2"},
		"default_lease_ttl_seconds": 3600, "max_lease_ttl_seconds": 7200,
	})},
	{"vault_generic_secret", fixed(map[string]any{"path": "tf-kv/app/db", "data_json": `{"user":"alice"}`})},
	{"vault_token_auth_backend_role", fixed(map[string]any{"role_name": "tf", "allowed_policies": []any{"tf"}, "period": "3600"})},
	{"vault_token", fixed(map[string]any{"policies": []any{"tf"}, "ttl": "1h", "no_parent": true})},
	{"vault_auth_backend", fixed(map[string]any{"type": "approle", "path": "tf-approle"})},
	{"vault_generic_endpoint", fixed(map[string]any{
		"path": "auth/tf-approle/role/app", "data_json": `{"token_policies":["tf"],"token_ttl":600}`, "ignore_absent_fields": true,
	})},
	{"vault_generic_endpoint", fixed(map[string]any{
		"path": "auth/tf-approle/role/app/role-id", "data_json": `{"role_id":"tf-app"}`, "disable_delete": true,
	})},
	{"vault_approle_auth_backend_role_secret_id", fixed(map[string]any{
		"backend": "tf-approle", "role_name": "app", "metadata": `{"by":"terraform"}`,
	})},
	{"vault_approle_auth_backend_login", func(made map[string]*terraform.InstanceState) map[string]any {
		return map[string]any{
			"backend":   "tf-approle",
			"role_id":   "tf-app",
			"secret_id": made["vault_approle_auth_backend_role_secret_id"].Attributes["secret_id"],
		}
	}},
	{"vault_generic_endpoint", fixed(map[string]any{
		"path": "tf-kv/config", "data_json": `{"max_versions":4}`, "disable_delete": true, "ignore_absent_fields": true,
	})},
	{"vault_identity_entity", fixed(map[string]any{"name": "tf", "policies": []any{"tf"}, "metadata": map[string]any{"team": "a"}})},
	{"vault_identity_group", func(made map[string]*terraform.InstanceState) map[string]any {
		return map[string]any{
			"name": "tf", "type": "internal", "policies": []any{"tf"},
			"member_entity_ids": []any{made["vault_identity_entity"].ID},
		}
	}},
	{"vault_jwt_auth_backend", fixed(map[string]any{
		"path": "tf-jwt", "bound_issuer": "https://issuer.test", "jwt_validation_pubkeys": []any{publicKey},
	})},
	{"vault_pki_secret_backend", fixed(map[string]any{
		"path": "tf-pki", "default_lease_ttl_seconds": 3600, "max_lease_ttl_seconds": 86400,
	})},
	{"vault_pki_secret_backend_root_cert", fixed(map[string]any{
		"backend": "tf-pki", "type": "internal", "common_name": "Terraform Test CA", "ttl": "86400", "format": "pem",
		"private_key_format": "der", "key_type": "ec", "key_bits": 256, "exclude_cn_from_sans": true,
	})},
	{"vault_pki_secret_backend_role", fixed(map[string]any{
		"backend": "tf-pki", "name": "web", "allowed_domains": []any{"example.test"}, "allow_subdomains": true,
		"key_type": "ec", "key_bits": 256, "key_usage": []any{"DigitalSignature", "KeyAgreement", "KeyEncipherment"},
	})},
	{"vault_pki_secret_backend_cert", fixed(map[string]any{
		"backend": "tf-pki", "name": "web", "common_name": "a.example.test", "ttl": "600",
	})},
	{"vault_ssh_secret_backend_ca", fixed(map[string]any{"backend": "tf-ssh", "generate_signing_key": true})},
}

// mounts that a resource needs and that another one of the same kind would have to make
var before = map[string]resource{
	"vault_ssh_secret_backend_ca": {"vault_mount", fixed(map[string]any{"path": "tf-ssh", "type": "ssh"})},
}

// An Ed25519 key that signs nothing.
const publicKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----`

type applied struct {
	kind  string
	state *terraform.InstanceState
}

func main() {
	log.SetOutput(io.Discard)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && line == "" {
		fail("standard input", err)
	}
	provider := vault.Provider().(*schema.Provider)
	if err := provider.Configure(configOf(map[string]any{
		"address": os.Getenv("KEYWARD_URL"), "token": strings.TrimSpace(line), "max_retries": 0,
	})); err != nil {
		fail("provider", err)
	}
	made := map[string]*terraform.InstanceState{}
	var all []applied
	add := func(r resource) {
		state, err := apply(provider, r.kind, r.config(made))
		if err != nil {
			fail(r.kind, err)
		}
		made[r.kind] = state
		all = append(all, applied{r.kind, state})
	}
	for _, r := range resources {
		if first, ok := before[r.kind]; ok {
			add(first)
		}
		add(r)
		fmt.Println(r.kind)
	}
	for i := len(all) - 1; i >= 0; i-- {
		if err := destroy(provider, all[i]); err != nil {
			fail("destroy "+all[i].kind, err)
		}
	}
	fmt.Println("destroyed")
}

func fail(where string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", where, err)
	os.Exit(1)
}

func apply(p *schema.Provider, kind string, raw map[string]any) (*terraform.InstanceState, error) {
	info := &terraform.InstanceInfo{Type: kind, Id: kind}
	config := configOf(raw)
	if _, problems := p.ValidateResource(kind, config); len(problems) > 0 {
		return nil, problems[0]
	}
	diff, err := p.Diff(info, nil, config)
	if err != nil {
		return nil, err
	}
	state, err := p.Apply(info, nil, diff)
	if err != nil {
		return nil, err
	}
	state, err = p.Refresh(info, state)
	if err != nil {
		return nil, err
	}
	if state == nil || state.ID == "" {
		return nil, fmt.Errorf("gone after it was made")
	}
	again, err := p.Diff(info, state, config)
	if err != nil {
		return nil, err
	}
	if again != nil && !again.Empty() {
		return nil, fmt.Errorf("the second plan is not empty: %v", again.Attributes)
	}
	return state, nil
}

func destroy(p *schema.Provider, made applied) error {
	info := &terraform.InstanceInfo{Type: made.kind, Id: made.kind}
	_, err := p.Apply(info, made.state, &terraform.InstanceDiff{Destroy: true})
	return err
}

func configOf(raw map[string]any) *terraform.ResourceConfig {
	return &terraform.ResourceConfig{Raw: raw, Config: raw}
}
