package testenv

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// RegistryServer is a registry of images on this machine, which wants a login. An
// engine here talks to it without TLS.
type RegistryServer struct {
	// Address is what names of its images begin with.
	Address string
	// User is who may log in, and Password what he does it by.
	User, Password string
}

// Registry starts a registry of images, which ends with the test.
func Registry(t testing.TB) RegistryServer {
	t.Helper()
	program := need(t, AbilityRegistry, func() (string, error) { return registry(t.Context()) })
	r := RegistryServer{Address: loopback(FreePort(t)), User: "azml", Password: "pa55/of the=test"}
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte(r.Password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %[1]s/data}}\nhttp: {addr: %[2]s}\nauth: {htpasswd: {realm: test, path: %[1]s/users}}\n", dir, r.Address)
	for name, text := range map[string]string{"config.yml": config, "users": r.User + ":" + string(hash) + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, exec.Command(program, "serve", filepath.Join(dir, "config.yml")), func(ctx context.Context) error {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Address+"/v2/", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("it answers %s", answer.Status)
		}
		return nil
	})
	return r
}

// registry finds Debian's program.
func registry(ctx context.Context) (string, error) {
	return program(ctx, func(context.Context) (string, error) { return exec.LookPath("docker-registry") }, "docker-registry")
}
