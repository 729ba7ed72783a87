// The Go clients of HashiCorp Vault and of OpenBao, as Go programs use them. The address is in KEYWARD_URL, the token comes on
// standard input; each step that holds is printed, the first that does not ends the program.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	vault "github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
	"github.com/hashicorp/vault/api/auth/userpass"
	bao "github.com/openbao/openbao/api/v2"
)

type step struct {
	name string
	run  func(context.Context, *vault.Client) error
}

func main() {
	token, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && token == "" {
		fail("standard input", err)
	}
	token = strings.TrimSpace(token)
	client, err := newClient(token)
	if err != nil {
		fail("client", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, s := range []step{
		{"status", status},
		{"kv_2", kv2},
		{"kv_1", kv1},
		{"policies", policies},
		{"tokens", tokens},
		{"lifetime", lifetime},
		{"approle", appRole},
		{"userpass", userPass},
		{"wrapping", wrapping},
		{"transit", transit},
		{"refusals", refusals},
		{"openbao", openBao(token)},
	} {
		if err := s.run(ctx, client); err != nil {
			fail(s.name, err)
		}
		fmt.Println(s.name)
	}
}

func fail(where string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", where, err)
	os.Exit(1)
}

func newClient(token string) (*vault.Client, error) {
	config := vault.DefaultConfig()
	config.Address = os.Getenv("KEYWARD_URL")
	config.MaxRetries = 0
	client, err := vault.NewClient(config)
	if err == nil {
		client.SetToken(token)
	}
	return client, err
}

func must(holds bool, what string, args ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(what, args...)
}

func status(ctx context.Context, c *vault.Client) error {
	seal, err := c.Sys().SealStatusWithContext(ctx)
	if err != nil {
		return err
	}
	health, err := c.Sys().HealthWithContext(ctx)
	if err != nil {
		return err
	}
	leader, err := c.Sys().LeaderWithContext(ctx)
	if err != nil {
		return err
	}
	mounts, err := c.Sys().ListMountsWithContext(ctx)
	if err != nil {
		return err
	}
	open := seal.Initialized && !seal.Sealed && health.Initialized && !health.Sealed
	return must(open && leader != nil && mounts["secret/"].Options["version"] == "2", "seal %+v, health %+v", seal, health)
}

func kv2(ctx context.Context, c *vault.Client) error {
	kv := c.KVv2("secret")
	if _, err := kv.Put(ctx, "go/app", map[string]any{"user": "alice", "count": 1}); err != nil {
		return err
	}
	second, err := kv.Patch(ctx, "go/app", map[string]any{"host": "db"})
	if err != nil {
		return err
	}
	if _, err := kv.Put(ctx, "go/app", map[string]any{"x": 1}, vault.WithCheckAndSet(1)); err == nil {
		return errors.New("a wrong check-and-set was taken")
	}
	found, err := kv.GetVersion(ctx, "go/app", second.VersionMetadata.Version)
	if err != nil {
		return err
	}
	if found.Data["user"] != "alice" || found.Data["host"] != "db" {
		return fmt.Errorf("the patch lost something: %v", found.VersionMetadata)
	}
	if err := kv.PutMetadata(ctx, "go/app", vault.KVMetadataPutInput{
		MaxVersions:    5,
		CustomMetadata: map[string]any{"owner": "tests"},
	}); err != nil {
		return err
	}
	if err := kv.DeleteVersions(ctx, "go/app", []int{2}); err != nil {
		return err
	}
	if err := kv.Undelete(ctx, "go/app", []int{2}); err != nil {
		return err
	}
	if _, err := kv.Rollback(ctx, "go/app", 1); err != nil {
		return err
	}
	if err := kv.Destroy(ctx, "go/app", []int{1}); err != nil {
		return err
	}
	metadata, err := kv.GetMetadata(ctx, "go/app")
	if err != nil {
		return err
	}
	if !metadata.Versions["1"].Destroyed || metadata.CurrentVersion != 3 || metadata.CustomMetadata["owner"] != "tests" {
		return fmt.Errorf("metadata %+v", metadata)
	}
	keys, err := c.Logical().ListWithContext(ctx, "secret/metadata/go")
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(keys.Data["keys"], []any{"app"}) {
		return fmt.Errorf("keys %v", keys.Data["keys"])
	}
	if err := kv.DeleteMetadata(ctx, "go/app"); err != nil {
		return err
	}
	_, err = kv.Get(ctx, "go/app")
	return must(errors.Is(err, vault.ErrSecretNotFound), "after its end: %v", err)
}

func kv1(ctx context.Context, c *vault.Client) error {
	if err := c.Sys().MountWithContext(ctx, "go-old", &vault.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}); err != nil {
		return err
	}
	kv := c.KVv1("go-old")
	if err := kv.Put(ctx, "a/b", map[string]any{"k": "v"}); err != nil {
		return err
	}
	found, err := kv.Get(ctx, "a/b")
	if err != nil {
		return err
	}
	if err := kv.Delete(ctx, "a/b"); err != nil {
		return err
	}
	if err := c.Sys().UnmountWithContext(ctx, "go-old"); err != nil {
		return err
	}
	return must(found.Data["k"] == "v", "found %v", found.Data)
}

func policies(ctx context.Context, c *vault.Client) error {
	rules := `path "secret/data/go/*" { capabilities = ["read"] }`
	if err := c.Sys().PutPolicyWithContext(ctx, "go-reader", rules); err != nil {
		return err
	}
	found, err := c.Sys().GetPolicyWithContext(ctx, "go-reader")
	if err != nil {
		return err
	}
	names, err := c.Sys().ListPoliciesWithContext(ctx)
	if err != nil {
		return err
	}
	if found != rules || !strings.Contains(strings.Join(names, " "), "go-reader") {
		return fmt.Errorf("policy %q among %v", found, names)
	}
	secret, err := c.Auth().Token().CreateWithContext(ctx, &vault.TokenCreateRequest{Policies: []string{"go-reader"}})
	if err != nil {
		return err
	}
	can, err := c.Sys().CapabilitiesWithContext(ctx, secret.Auth.ClientToken, "secret/data/go/app")
	if err != nil {
		return err
	}
	return must(reflect.DeepEqual(can, []string{"read"}), "capabilities %v", can)
}

func tokens(ctx context.Context, c *vault.Client) error {
	renewable := true
	made, err := c.Auth().Token().CreateWithContext(ctx, &vault.TokenCreateRequest{
		Policies: []string{"default"}, TTL: "10m", ExplicitMaxTTL: "1h", Renewable: &renewable, DisplayName: "go",
		Metadata: map[string]string{"team": "go"},
	})
	if err != nil {
		return err
	}
	looked, err := c.Auth().Token().LookupWithContext(ctx, made.Auth.ClientToken)
	if err != nil {
		return err
	}
	ttl, err := looked.TokenTTL()
	if err != nil {
		return err
	}
	metadata, err := looked.TokenMetadata()
	if err != nil {
		return err
	}
	if ttl < 9*time.Minute || ttl > 10*time.Minute || metadata["team"] != "go" {
		return fmt.Errorf("ttl %v, metadata %v", ttl, metadata)
	}
	renewed, err := c.Auth().Token().RenewWithContext(ctx, made.Auth.ClientToken, 1200)
	if err != nil {
		return err
	}
	if renewed.Auth.LeaseDuration != 1200 {
		return fmt.Errorf("renewed for %d", renewed.Auth.LeaseDuration)
	}
	if err := c.Auth().Token().RevokeAccessorWithContext(ctx, made.Auth.Accessor); err != nil {
		return err
	}
	_, err = c.Auth().Token().LookupWithContext(ctx, made.Auth.ClientToken)
	return must(statusOf(err) == 403, "after its revocation: %v", err)
}

// lifetime lets the client's own watcher keep a token alive.
func lifetime(ctx context.Context, c *vault.Client) error {
	made, err := c.Auth().Token().CreateWithContext(ctx, &vault.TokenCreateRequest{Policies: []string{"default"}, TTL: "3s"})
	if err != nil {
		return err
	}
	own, err := newClient(made.Auth.ClientToken)
	if err != nil {
		return err
	}
	watcher, err := own.NewLifetimeWatcher(&vault.LifetimeWatcherInput{Secret: made, Increment: 3})
	if err != nil {
		return err
	}
	go watcher.Start()
	defer watcher.Stop()
	select {
	case <-watcher.RenewCh():
		return nil
	case err := <-watcher.DoneCh():
		return fmt.Errorf("the watcher gave up: %v", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func appRole(ctx context.Context, c *vault.Client) error {
	if err := c.Sys().EnableAuthWithOptionsWithContext(ctx, "approle", &vault.EnableAuthOptions{Type: "approle"}); err != nil {
		return err
	}
	if _, err := c.Logical().WriteWithContext(ctx, "auth/approle/role/go", map[string]any{"token_policies": "default", "token_ttl": "10m"}); err != nil {
		return err
	}
	role, err := c.Logical().ReadWithContext(ctx, "auth/approle/role/go/role-id")
	if err != nil {
		return err
	}
	wrapping, err := c.Clone()
	if err != nil {
		return err
	}
	wrapping.SetToken(c.Token())
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "5m" })
	secret, err := wrapping.Logical().WriteWithContext(ctx, "auth/approle/role/go/secret-id", nil)
	if err != nil {
		return err
	}
	method, err := approle.NewAppRoleAuth(
		role.Data["role_id"].(string),
		&approle.SecretID{FromString: secret.WrapInfo.Token},
		approle.WithWrappingToken(),
	)
	if err != nil {
		return err
	}
	own, err := newClient("")
	if err != nil {
		return err
	}
	signed, err := own.Auth().Login(ctx, method)
	if err != nil {
		return err
	}
	self, err := own.Auth().Token().LookupSelfWithContext(ctx)
	if err != nil {
		return err
	}
	return must(signed.Auth.LeaseDuration == 600 && self.Data["display_name"] == "approle", "signed in as %v", self.Data["display_name"])
}

func userPass(ctx context.Context, c *vault.Client) error {
	if err := c.Sys().EnableAuthWithOptionsWithContext(ctx, "userpass", &vault.EnableAuthOptions{Type: "userpass"}); err != nil {
		return err
	}
	password := fmt.Sprintf("test-%d", time.Now().UnixNano())
	if _, err := c.Logical().WriteWithContext(ctx, "auth/userpass/users/gopher", map[string]any{"password": password}); err != nil {
		return err
	}
	method, err := userpass.NewUserpassAuth("gopher", &userpass.Password{FromString: password})
	if err != nil {
		return err
	}
	own, err := newClient("")
	if err != nil {
		return err
	}
	signed, err := own.Auth().Login(ctx, method)
	if err != nil {
		return err
	}
	return must(signed.Auth.Metadata["username"] == "gopher", "metadata %v", signed.Auth.Metadata)
}

func wrapping(ctx context.Context, c *vault.Client) error {
	wrapped, err := c.Logical().WriteWithContext(ctx, "sys/wrapping/wrap", map[string]any{"note": "hello"})
	if err != nil {
		return err
	}
	found, err := c.Logical().UnwrapWithContext(ctx, wrapped.WrapInfo.Token)
	if err != nil {
		return err
	}
	if found.Data["note"] != "hello" {
		return fmt.Errorf("unwrapped %v", found.Data)
	}
	_, err = c.Logical().UnwrapWithContext(ctx, wrapped.WrapInfo.Token)
	return must(err != nil, "a wrapping token was used twice")
}

func transit(ctx context.Context, c *vault.Client) error {
	if err := c.Sys().MountWithContext(ctx, "go-transit", &vault.MountInput{Type: "transit"}); err != nil {
		return err
	}
	if _, err := c.Logical().WriteWithContext(ctx, "go-transit/keys/k", nil); err != nil {
		return err
	}
	sealed, err := c.Logical().WriteWithContext(ctx, "go-transit/encrypt/k", map[string]any{"plaintext": "aGVsbG8="})
	if err != nil {
		return err
	}
	opened, err := c.Logical().WriteWithContext(ctx, "go-transit/decrypt/k", map[string]any{"ciphertext": sealed.Data["ciphertext"]})
	if err != nil {
		return err
	}
	return must(opened.Data["plaintext"] == "aGVsbG8=", "opened %v", opened.Data)
}

func refusals(ctx context.Context, c *vault.Client) error {
	nobody, err := newClient("nobody")
	if err != nil {
		return err
	}
	_, err = nobody.Logical().ReadWithContext(ctx, "secret/data/go/app")
	if statusOf(err) != 403 {
		return fmt.Errorf("a wrong token: %v", err)
	}
	none, err := c.Logical().ReadWithContext(ctx, "secret/data/go/none")
	if err != nil || none != nil {
		return fmt.Errorf("a missing secret: %v, %v", none, err)
	}
	_, err = c.Logical().WriteWithContext(ctx, "nowhere/at/all", nil)
	if statusOf(err) != 404 {
		return fmt.Errorf("a missing mount: %v", err)
	}
	elsewhere, err := c.Clone()
	if err != nil {
		return err
	}
	elsewhere.SetToken(c.Token())
	elsewhere.SetNamespace("team")
	_, err = elsewhere.Logical().ReadWithContext(ctx, "secret/data/go/app")
	return must(statusOf(err) == 400, "a namespace: %v", err)
}

func statusOf(err error) int {
	var refused *vault.ResponseError
	if errors.As(err, &refused) {
		return refused.StatusCode
	}
	return 0
}

func openBao(token string) func(context.Context, *vault.Client) error {
	return func(ctx context.Context, _ *vault.Client) error {
		config := bao.DefaultConfig()
		config.Address = os.Getenv("KEYWARD_URL")
		client, err := bao.NewClient(config)
		if err != nil {
			return err
		}
		client.SetToken(token)
		if _, err := client.KVv2("secret").Put(ctx, "go/bao", map[string]any{"k": "v"}); err != nil {
			return err
		}
		found, err := client.KVv2("secret").Get(ctx, "go/bao")
		if err != nil {
			return err
		}
		return must(found.Data["k"] == "v", "found %v", found.Data)
	}
}
